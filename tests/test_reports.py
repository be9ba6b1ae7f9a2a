"""Faults that people reported, each with its kind: what was given -> what must come out, or which sentence.

The next report is one more line. An outcome is a value, `Says` (refused with this sentence) or `Notes`
(taken, with this note); what can be given is in `reports`.
"""

import os

import numpy as np
import pytest
import reports as r
from reports import Notes, Says, check

# ruff: noqa: E501 - a row is a line
# fmt: off
TEXT_IN_TABLES = [
    (lambda f: r.read_back(f, "NA"), "NA"),
    (lambda f: r.read_back(f, "null"), "null"),
    (lambda f: r.read_back(f, "None"), "None"),
    (lambda f: r.read_back(f, "nan"), "nan"),
    (lambda f: r.read_back(f, "001"), "001"),
    (lambda f: r.read_back(f, "1e5"), "1e5"),
    (lambda f: r.read_back(f, "TRUE"), "TRUE"),
    (lambda f: r.read_back(f, "0.10"), "0.10"),
    (lambda f: r.read_back(f, "N/A"), "N/A"),
    (lambda f: r.read_back(f, "-inf"), "-inf"),
    (lambda f: r.read_back(f, "1_000"), "1_000"),
    (lambda f: r.read_back(f, "2026-11-01"), "2026-11-01"),
    (lambda f: r.read_back(f, ""), ""),
    (lambda f: r.read_back(f, ' "a", b\r\n#c '), ' "a", b\r\n#c '),
    (lambda f: r.read_back(f, float("inf"), float), float("inf")),
    (lambda f: r.read_back(f, 0.1 + 0.2, float), 0.1 + 0.2),
    (lambda f: str(r.read_back(f, float("nan"), float)), "nan"),
    (lambda f: r.read_back(f, True, bool), True),
    (lambda f: r.read_back(f, 2**53 + 1, int), 2**53 + 1),
    (lambda f: r.read_back(f, "many", int), Says(r"row 1, column 'name': 'many' is not a whole number.*bring back the former file; else move it away and run again")),
    (lambda f: r.read_back(f, "yes", bool), Says("'yes' is not True or False")),
    (lambda f: r.read_text(f, "a,b\n1\n", a=str), Says("row 1 has not 2 cells")),
    (lambda f: r.read_text(f, "a,b\n1,2,3\n", a=str), Says("row 1 has not 2 cells")),
    (lambda f: r.read_text(f, "b\n1\n", a=str), Says("it has no column 'a', but 'b'")),
    (lambda f: r.read_text(f, "", a=str), Says("is not a table: it is empty[.]")),
    (lambda f: r.read_text(f, 'a\n"1\n', a=str), Says("is not a table")),
    (lambda f: r.read_text(f, "\n\n", a=str), Says("it is empty[.]")),
    (lambda f: r.read_text(f, "a,b\n1,x\n\n", a=int), [{"a": 1, "b": "x"}]),
    (lambda f: r.read_text(f, "a,b\r\n1,x\r\n,\r\n,\r\n", a=int), [{"a": 1, "b": "x"}]),
    (lambda f: r.read_text(f, "a,b\r1,x\r", a=int), [{"a": 1, "b": "x"}]),
    (lambda f: r.read_text(f, "a,b\n\n1,x\n", a=int), Says("row 1 has not 2 cells")),
    (lambda f: r.read_text(f, 'a\n""\nx\n""\n', a=str), [{"a": ""}, {"a": "x"}, {"a": ""}]),
    (lambda f: r.read_text(f, "a\nTRUE\nfalse\nTrue\n", a=bool), [{"a": True}, {"a": False}, {"a": True}]),
    (lambda f: r.read_text(f, "a,b,a\n1,2,3\n", a=int), Says("it has the column 'a' twice.*saved by another program")),
    (lambda f: r.read_text(f, "a;b\n1;2\n", a=int), Says("it has no column 'a', but 'a;b'.*commas between cells")),
    (lambda f: r.read_text(f, 'a,b\n"0,5",2\n', a=float), Says("'0,5' is not a number.*points in numbers")),
    (lambda f: r.read_text(f, "a\n" + "x" * 200_000 + "\n", a=str), [{"a": "x" * 200_000}]),
    (lambda f: r.read_text(f, "a\n" + "x" * 200_000 + "\n", a=int), Says("'x{40}...' is not a whole number")),
    *((lambda f, x=x, kind=kind: r.read_text(f, f"a\n{x}\n", a=kind), Says(f"row 1, column 'a': '{x}' is not a"))
      for kind in (int, float) for x in ("1_000", "\u0661\u0662", "0x1f", "1 000", "many", "2026-11-01")),
    *((lambda f, x=x: r.read_text(f, f"a\n{x}\n", a=int), Says(f"'{x}' is not a whole number")) for x in ("1.0", "1e3", "9" * 19, "9" * 40)),
    *((lambda f, x=x: r.read_text(f, f"a\n{x}\n", a=float)[0]["a"], float(x)) for x in ("-1.5E-05", "1.", ".5", "+2", " 3 ", "-inf", "1e400", "9" * 40)),
    *((lambda f, x=x: r.read_text(f, f"a\n{x}\n", a=int), [{"a": int(x)}]) for x in ("-12", "+2", " 3 ", "007", str(-2**63))),
    (lambda f: r.written(f, "a\rb"), [{"text": "a\rb", "n": 0.5}]),
    (lambda f: r.written(f, "a\r"), [{"text": "a\r", "n": 0.5}]),
    (lambda f: r.tables.read(f / "none.csv", {}, "a table"), Says("none.csv cannot be read as a table: No such file or directory[.]$")),
    (lambda f: r.tables.read(f, {}, "a table"), Says("cannot be read as a table: Is a directory[.]$")),
    (lambda f: r.read_bytes(f, "\ufeff\ufeffa\n1\n".encode(), a=int), [{"a": 1}]),
    (lambda f: r.read_bytes(f, "a\n\xe9\n".encode("cp1252"), a=str), Says("it is not UTF-8 text[.].*save it as UTF-8 CSV")),
    (lambda f: r.named(f, "0.10"), "0.10"),
    (lambda f: r.named(f, "birds.v2"), "birds.v2"),
    (lambda f: r.named(f, "1.0.npz"), "1.0"),
    (lambda f: r.read_text(f, "\ufeffa,b\n01,2\n", a=str, b=float), [{"a": "01", "b": 2.0}]),
]
MARK = b"\xef\xbb\xbf"  # what Notepad, Excel and others put before UTF-8
MARKS = [
    (lambda f: r.setting(f, MARK + b'{"payment": "3 euros."}'), "3 euros."),
    (lambda f: r.setting(f, MARK + '{"payment": "3 \u20ac"}'.encode()), "3 \u20ac"),
    (lambda f: r.setting(f, b'{"payment": "3 euros."}'), "3 euros."),
    (lambda f: r.setting(f, '{"payment": ""}'.encode("utf-16")), Says("not UTF-8 text; save it")),
    (lambda f: r.setting(f, '{"payment": "\xe9"}'.encode("cp1252")), Says("save it as UTF-8, what you")),
    (lambda f: r.setting(f, MARK + b'{"payment": "3",}'), Says("line 1 column 1.*Mend that place; where")),
    (lambda f: r.setting(f, MARK * 2 + b'{"payment": "3 euros."}'), "3 euros."),
    (lambda f: r.setting(f, b""), Says("settings.json is empty; delete it to get a new one")),
    (lambda f: r.setting(f, MARK + b" \n"), Says("settings.json is empty; delete it")),
    (lambda f: r.setting(f, b'{"payment": "3", "title": "x", "payment": "4"}'), Says("'payment' is there twice[.] Mend that place")),
    (lambda f: r.setting(f, b'{"payment": "\\ud800"}'), "\\ud800"),
    (lambda f: r.setting(f, b"[" * 99_999), Says("cannot be read as settings")),
    (lambda f: r.document(f, MARK * 2 + b"# Mine"), "# Mine"),
    (lambda f: r.generated(f, MARK * 2), "0123"),
    (lambda f: r.setting(f, MARK + b"[]"), Says("must hold one JSON object of settings")),
    (lambda f: r.document(f, MARK + b"# Mine"), "# Mine"),
    (lambda f: r.document(f, MARK + "caf\xe9\r\n".encode()), "caf\xe9\n"),
    (lambda f: r.document(f, MARK + b" \n"), Says("is empty")),
    (lambda f: r.generated(f, MARK), "0123"),
    (lambda f: r.generated(f, b""), "0123"),
    (lambda f: r.for_spreadsheets(f, "caf\xe9"), (MARK, "caf\xe9")),
    (lambda f: r.for_spreadsheets(f, "\u53f3\u305d\u3067"), (MARK, "\u53f3\u305d\u3067")),
    (lambda f: r.for_spreadsheets(f, '\U0001f455 \u20ac, "a"\nnext'), (MARK, '\U0001f455 \u20ac, "a"\nnext')),
]

TRANSPARENCY = [  # composited onto white
    (lambda f: r.colour(f, r.flat(r.CLEAR)), (255, 255, 255)),
    (lambda f: r.colour(f, r.flat((255, 0, 0, 51))), (255, 204, 204)),
    (lambda f: r.colour(f, r.flat(r.RED)), (255, 0, 0)),
    (lambda f: r.colour(f, r.palette((255, 0, 0), True), transparency=0), (255, 255, 255)),
    (lambda f: r.colour(f, r.palette((255, 0, 0), False)), (255, 0, 0)),
    (lambda f: r.colour(f, r.flat((9, 0), "LA")), (255, 255, 255)),
    (lambda f: r.colour(f, r.flat((9, 255), "LA")), (9, 9, 9)),
    (lambda f: r.colour(f, r.flat((255, 0, 0), "RGB"), transparency=(255, 0, 0)), (255, 255, 255)),
    (lambda f: r.colour(f, r.flat((9,), "L"), transparency=9), (255, 255, 255)),
    (lambda f: r.colour_in(f, r.rgba16(65535, 0)), (255, 255, 255)),
    (lambda f: r.colour_in(f, r.rgba16(65535, 65535)), (255, 0, 0)),
    (lambda f: r.colour(f, r.palette((255, 0, 0), True), "x.gif", transparency=0), (255, 255, 255)),
    (lambda f: r.colour(f, r.flat(r.CLEAR), "x.webp", lossless=True, exact=True), (255, 255, 255)),
    (lambda f: r.colour(f, r.flat(r.CLEAR), "x.tif"), (255, 255, 255)),
]

BRIGHTNESS = [
    (lambda f: r.arrays(f, images=r.bits()), Says("no pixel of all images is brighter than 1,.*must have 32 or more.*by 255 where that is 1")),
    (lambda f: r.arrays(f, images=r.bits(highest=0)), Says("is brighter than 0")),
    (lambda f: r.arrays(f, images=r.bits("bool")), Says(r"images are bool.*give \(images \* 255.0\).round")),
    (lambda f: r.arrays(f, images=r.bits("float32")), Says(r"are float32.*from 0 to 1: give \(images \* 255.0\)")),
    (lambda f: r.arrays(f, images=r.bits("float64", 255)), Says(r"are float64.*Give images.round\(\).astype")),
    (lambda f: r.arrays(f, images=r.bits("uint16", 65535)), Says(r"are uint16.*images \* \(255 / 65535\)")),
    (lambda f: r.arrays(f, images=r.bits("float32", -2)), Says("from -2 to 0: undo the normalisation")),
    (lambda f: r.arrays(f, images=r.bits("float32", np.nan)), Says("no number")),
    (lambda f: r.dark_test(f, 255), Says(r"x.npz .a part of 60 images.: no pixel of all images is brighter than 0,")),
    (lambda f: r.dark_test(f, 255, 1), Says("is brighter than 1,")),
    (lambda f: r.dark_test(f, 255, 20), Says("is brighter than 20,")),
    (lambda f: r.dark_test(f, 255, 32), ({"0": 20, "1": 20, "2": 20}, {"0": 20, "1": 20, "2": 20})),
    (lambda f: r.dark_test(f, 255, 1, 3), ({"0": 20, "1": 20, "2": 20}, {"0": 1, "1": 1, "2": 1})),
    (lambda f: r.dark_test(f, 1), Says("x.npz: no pixel of all images is brighter than 1")),
    *((lambda f, use=use, x=x: use(x), Says("^The images: no pixel of all images is brighter than [0-9]+, but white is 255"))
      for use in (r.cu.PCA(3).fit, r.explained, lambda x: r.cu.evaluate(r.cu.PCA(3).fit(r.shades(1.0)), x, r.seen_by()))
      for x in (r.shades(1 / 255), r.shades(20 / 255), (r.shades(9.0)).byte(), (r.shades(20.0)).byte())),
    (lambda f: r.cu.PCA(3).fit(r.shades(1.0))(r.shades(0.01)).shape[0], 24),
    (lambda f: r.cu.PCA(1).fit(r.shades(0.01)[:4]).components, 1),
    (lambda f: r.masks(f, 1), Says("photos: no pixel of all images is brighter than 1")),
    (lambda f: r.masks(f, 2), Says("is brighter than 2, but white is 255")),
    (lambda f: r.masks(f, 31), Says("is brighter than 31")),
    (lambda f: r.masks(f, 32), ({"a": 8, "b": 8}, {"a": 2, "b": 2})),
    (lambda f: r.arrays(f, images=r.bits(highest=16)), Says("is brighter than 16")),
    (lambda f: r.arrays(f, images=r.bits("int8", -3)), Says("are int8.*from -3 to 0: if bytes above 127 became negative, give images.view of uint8; else undo")),
    (lambda f: r.tensors(r.bits("int8", -3)), Says("are torch.int8 from -3 to 0; if bytes above 127 became negative, .* else undo the normalisation")),
    (lambda f: r.tensors(r.bits("int8", 127)), Says("are torch.int8 from 0 to 127; divide by 255")),
    (lambda f: r.tensors(r.bits("int64", -3)), Says("are torch.int64 from -3 to 0; undo the normalisation")),
    (lambda f: r.tensors(r.bits("int64", 255)), Says("are torch.int64 from 0 to 255; divide by 255")),
    (lambda f: r.tensors(r.bits("int32", 1000)), Says("are torch.int32 from 0 to 1000; divide by 1000")),
    (lambda f: r.tensors(r.bits("uint16", 1000)), Says("are torch.uint16 from 0 to 1000; divide by 1000")),
    (lambda f: r.tensors(r.bits("bool")), Says(r"are torch.bool from 0 to 1; give images.float\(\)")),
    (lambda f: r.tensors(r.bits("float32", np.nan)), Says("hold something that is no number")),
    (lambda f: r.tensors(r.bits("complex64")), Says("hold something that is no number")),
    (lambda f: r.tensors(r.bits("float32", 255)), Says("go from 0 to 255; divide by 255")),
    (lambda f: r.tensors(r.bits("float32", 2)), Says("go from 0 to 2; divide by 255")),
    (lambda f: r.tensors(r.bits("float32", 0.01)), Says("no pixel of all images is brighter than 3")),
    (lambda f: r.tensors(r.bits(highest=31)), Says("no pixel of all images is brighter than 31")),
    (lambda f: r.tensors(r.bits(highest=255)), (48, 12)),
    (lambda f: r.tensors(r.bits("float32")), (48, 12)),
    (lambda f: r.arrays(f, images=np.zeros((60, 0, 0), np.uint8)), Says(r"have the shape \(60, 0, 0, 1\); it must be .* side at least 1")),
    (lambda f: r.arrays(f, images=np.zeros((60, 16, 0), np.uint8)), Says(r"have the shape \(60, 16, 0, 1\)")),
    (lambda f: r.arrays(f, images=np.zeros((0, 16, 16), np.uint8), labels=np.arange(0)), Says("there must be images")),
]

SIX, TEN = {"a": 6, "b": 6}, ({"a": 8, "b": 8}, {"a": 2, "b": 2})
FILES = [
    (lambda f: r.counted(f, SIX, *(f"{c}/{i}.jfif" for c in "ab" for i in range(4))), TEN),
    (lambda f: r.counted(f, SIX, *(f"{c}/{i}.pgm" for c in "ab" for i in range(4))), TEN),
    (lambda f: r.counted(f, SIX, *(f"{c}/{i}.JPE" for c in "ab" for i in range(4))), TEN),
    (lambda f: r.counted(f, SIX, *(f"{c}/{i}.qoi" for c in "ab" for i in range(4))), TEN),
    (lambda f: r.counted(f, SIX, *(f"{c}/{i}" for c in "ab" for i in range(10, 14))), TEN),
    (lambda f: r.counted(f, SIX, *(f"{c}/deep/er/{i}.png" for c in "ab" for i in range(4))), TEN),
    (lambda f: r.counted(f, {"a": 10, "b": 10}, "c.png"), Notes("1 files are left out: 1 outside class folders", TEN)),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/notes.txt": b"x", "b/x.heic": b"y"}), Notes("2 no images that can be read .such as notes.txt", TEN)),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"README.md": b"x", "labels.csv": b"y"}), TEN),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"c/x.heic": b"y"}), Says("c holds 1 files, but no image that can be read")),
    (lambda f: r.emptied(f, "a"), Says("a holds 0 files, but no image.*If it is a class, put its images there; else move it out")),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"meta/classes.txt": b"a", "meta/x.json": b"{}"}), Says("meta holds 2 files, but no image that can be read[.] If it is a class, put its images there; else move it out of its folder")),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/x.png": r.huge(20_000)}), Says("x.png is larger than what is read here .Image size .400000000 pixels. exceeds limit of [0-9]+ pixels.; make it smaller, or remove it[.]$")),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/x.png": r.huge(14_000)}), Says("a/x.png is larger")),
    *((lambda f, x=x: r.at_home(f, x), TEN) for x in ("~/photos", "~/photos/", "~/deep/../photos", "~")),
    (lambda f: r.data_spec("~nobody-here/x"), Says("no such folder")),
    *((lambda f, x=x, use=use: use(x), Says("^The data set is called '[ \\\\n]*'; give its name, such as fashion-mnist, or the path")) for x in ("", " ", "\n") for use in (r.data_spec, r.given)),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/x.png": b"y"}), Says("x.png cannot be read as an image")),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/x.pgm": b""}), Says("x.pgm cannot be read as an image")),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "val/a": 2, "val/b": 2, "val/c": 3}), Notes("3 of class 'c', which train/ lacks", TEN)),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "test/a": 2, "test/b": 2, "val/a": 4}), Notes("4 in val/, as test/ is the test set", TEN)),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "val/a": 2}), Says("'b' has 8 training and 0 test images.*8 of 'a', 8 of 'b'; for the test 2 of 'a', 0 of 'b'")),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "test/a": 2, "test/b": 2, "extra/a": 4}), Notes("4 in extra/, which is called neither", TEN)),
]

OF_SYSTEMS = [
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/._x.png": b"\0\5\x16\7"}), TEN),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"__MACOSX/a/._x.png": b"x"}), TEN),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/@eaDir/x.png/S.jpg": b"x", "@eaDir/a": b"x"}), TEN),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/Thumbs.db": b"x", "a/desktop.ini": b"x", "b/.DS_Store": b"x"}), TEN),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"$RECYCLE.BIN/x.png": b"x", ".ipynb_checkpoints/x.png": b"x"}), TEN),
    *((lambda f, x=x: r.counted(f, {"a": 10, "b": 10, x: 3}), Notes("3 files are left out: 3 in what systems put into folders .such as 0.png", TEN))
      for x in ("@Recycle", "@Recently-Snapshot/a", "#snapshot/GMT-2026.11.01/a", "Network Trash Folder", "TheVolumeSettingsFolder", "Temporary Items", "RECYCLER", "@eaDir@tmp", "a/@Recycle", "~snapshot/b", "found.000")),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"a/~$a.png": b"x", "b/~$1.png": b""}), TEN),
    (lambda f: r.counted(f, {"@ann": 10, "@bob": 10}), Says("holds 0 class folder.* Systems have folders called @ann, @bob; if these are classes")),
    *((lambda f, x=x: r.counted(f, {"a": 10, x: 10}), ({"a": 8, x: 8}, {"a": 2, x: 2})) for x in ("#cat", "$5 to $10", "~ish", "recycled", "trash", "found")),
]

PARTS = [
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "valid/a": 2, "valid/b": 2}), TEN),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "validation/a": 2, "validation/b": 2}), TEN),
    (lambda f: r.counted(f, {"Train/a": 8, "Train/b": 8, "Test/a": 2, "Test/b": 2}), TEN),
    (lambda f: r.counted(f, {"TRAINING/a": 8, "TRAINING/b": 8, "Val/a": 2, "Val/b": 2}), TEN),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "val/a": 2, "val/b": 2, "test": 3}), Notes("3 in test/, as val/ is the test set", TEN)),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "val/a": 2, "val/b": 2, "test/unknown": 3}), Notes("3 in test/", TEN)),
    (lambda f: r.counted(f, {"train/a": 10, "train/b": 10, "test": 3}), Notes("3 in test/, which has no class folders of train/", TEN)),
    (lambda f: r.counted(f, {"train/a": 10, "train/b": 10}), TEN),
    (lambda f: r.counted(f, {"train": 10, "bus": 10}), ({"bus": 8, "train": 8}, {"bus": 2, "train": 2})),
    (lambda f: r.counted(f, {"train": 10, "test": 10}), Says("train holds 0 class folder")),
    *((lambda f, x=x: r.counted(f, {"train/a": 8, "train/b": 8, f"{x}/a": 2, f"{x}/b": 2}), Says("images in the folders a, b, which would be classes.*Call the parts train and test"))
      for x in ("dev", "eval", "holdout", "hold-out", "Test Set", "val2", "unseen")),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 8, "unlabelled": 9}), Says("folders a, b, which would be classes, but train is what")),
    (lambda f: r.counted(f, {"val/a": 8, "val/b": 8, "test/a": 2, "test/b": 2}), Says("but test, val is what parts of data are called")),
    (lambda f: r.counted(f, {"train_data/a": 2, "train_data/b": 2, "rest/a": 2, "rest/b": 2}), Says("but train_data is what")),
    (lambda f: r.counted(f, {"dev": 10, "holdout": 10}), Says("has the folders dev, holdout, which would be classes, but dev, holdout is")),
    (lambda f: r.counted(f, {"test": 10, "control": 10}), ({"control": 8, "test": 8}, {"control": 2, "test": 2})),
    (lambda f: r.counted(f, {"trainers": 10, "valley": 10}), ({"trainers": 8, "valley": 8}, {"trainers": 2, "valley": 2})),
    (lambda f: r.counted(f, {"animals/cat": 5, "animals/dog": 5, "things/car": 5, "things/bus": 5}), Notes(r"the classes are animals, things, each with all images of the folders in it \(cat, dog, bus, car\). If these are", ({"animals": 8, "things": 8}, {"animals": 2, "things": 2}))),
    (lambda f: r.counted(f, {"animals/cat": 2, "animals/dog": 2, "things/car": 2, "things/bus": 2}), Says("'animals' has 4 images.*the classes are animals, things, each with all images of the folders in it")),
    (lambda f: r.counted(f, {"train/x/cat": 4, "train/x/dog": 4, "train/y/car": 4, "train/y/bus": 4, "test/x": 2, "test/y": 2}), Notes("the classes are x, y, each with", ({"x": 8, "y": 8}, {"x": 2, "y": 2}))),
    (lambda f: r.counted(f, {"cat/train": 8, "cat/test": 2, "dog/train": 8, "dog/test": 2}), Notes("the folders test, train in class folders were taken together.*train/cat, test/cat", ({"cat": 8, "dog": 8}, {"cat": 2, "dog": 2}))),
    (lambda f: r.counted(f, {"cat": 8, "cat/val": 2, "dog": 10}), Notes("the folders val in class folders were taken together", ({"cat": 8, "dog": 8}, {"cat": 2, "dog": 2}))),
    (lambda f: r.counted(f, {"animals/cat": 10, "animals/dog": 10}), Says(r"holds 1 class folder.s. \['animals'\]; .* If the classes are cat, dog, give .*photos/animals[.]$")),
    (lambda f: r.counted(f, {"train/animals/cat": 10, "train/animals/dog": 10}), Says("If the classes are cat, dog, give .*photos/train/animals[.]$")),
    (lambda f: r.counted(f, {"animals": 10}), Says("at least 2 are needed, one folder per class[.]$")),
    (lambda f: r.counted(f, {"2012/a": 5, "2012/b": 5, "2013/a": 5, "2013/b": 5}), Notes(r"the classes are 2012, 2013, each with all images of the folders in it \(a, b\)", ({"2012": 8, "2013": 8}, {"2012": 2, "2013": 2}))),
    (lambda f: r.counted(f, {"cat/images": 10, "dog/images": 10}), ({"cat": 8, "dog": 8}, {"cat": 2, "dog": 2})),
    *((lambda f, names=names: r.counted(f, dict.fromkeys(names, 5)), Says("would be classes, but .* is what parts of data are called.*directly in it; if they are classes"))
      for names in (("seg_train/seg_train/forest", "seg_train/seg_train/sea", "seg_test/seg_test/forest", "seg_test/seg_test/sea", "seg_pred/seg_pred"),
                    ("asl_alphabet_train/asl_alphabet_train/A", "asl_alphabet_train/asl_alphabet_train/B", "asl_alphabet_test/asl_alphabet_test"),
                    ("trainA", "trainB", "testA", "testB"), ("XTrain/a", "XTrain/b", "XTest/a", "XTest/b"), ("x-train/a", "x-train/b", "x val 2/a", "x val 2/b"), ("train2012", "val2012"))),
    *((lambda f, names=names: r.counted(f, dict.fromkeys(names, 5)), ({x: 4 for x in names}, {x: 1 for x in names}))
      for names in (("bullet_train", "steam_train"), ("trainer", "testudo"), ("traina", "testa"), ("train_station", "test_tube", "car"), ("Contest", "restrain"), ("invalid", "valid x", "y"))),
    (lambda f: r.counted(f, {"steam_train/2012/a": 5, "steam_train/2012/b": 5, "car": 10}), Notes("the classes are car, steam_train, each with all images of the folders in it .a, b.", ({"car": 8, "steam_train": 8}, {"car": 2, "steam_train": 2}))),
    (lambda f: r.counted(f, {"seg_train/forest": 5, "seg_train/sea": 5, "rest": 10}), Notes("the classes are rest, seg_train, each with all images of the folders in it .forest, sea.", ({"rest": 8, "seg_train": 8}, {"rest": 2, "seg_train": 2}))),
    (lambda f: r.counted(f, {"train/Dog": 8, "train/cat": 8, "val/dog": 2, "val/cat": 2}), Says("val/dog and .*train/Dog are two classes, as upper and lower case")),
    (lambda f: r.counted(f, {"train/Dog": 8, "train/Cat": 8, "val/dog": 2, "val/cat": 2}), Says("val/cat and .*train/Cat are two classes")),
    (lambda f: r.counted(f, {"train/\xe9": 8, "train/a": 8, "val/e\u0301": 2, "val/a": 2}), Says("the coding of accents differ")),
    (lambda f: r.counted(f, {"train/Dog": 8, "train/dog": 8, "val/dog": 2, "val/Dog": 2}), Notes("are different classes", ({"Dog": 8, "dog": 8}, {"Dog": 2, "dog": 2}))),
]

VANISHED = [  # files that were neither read nor counted
    (lambda f: r.changed(f, {"train/a": 8, "train/b": 8, "val/a": 2, "val/b": 2}, lambda root: r.put(root / "val/c/0")), Notes("1 files are left out: 1 of class 'c', which train/ lacks .such as 0", TEN)),
    (lambda f: r.changed(f, {"train/a": 8, "train/b": 8, "val/a": 2, "val/b": 2}, lambda root: r.put(root / "more/0")), Notes("1 in more/, which is called neither", TEN)),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: r.put(root / "0")), Notes("1 outside class folders", TEN)),
    (lambda f: r.beside(f, {"train/a": 8, "train/b": 8, "val/a": 2, "val/b": 2}, {"val/c/x.HEIC": b"y"}), Notes("1 of class 'c'", TEN)),
    (lambda f: r.beside(f, {"a": 10, "b": 10}, {"x.cr2": b"y"}), Notes("1 outside class folders .such as x.cr2", TEN)),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: (root / "c").symlink_to("nowhere")), Notes("1 links to nowhere .such as c", TEN)),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: (root / "a/x").symlink_to("nowhere")), Notes("1 links to nowhere .such as x", TEN)),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: (root / "a/x.png").symlink_to("nowhere")), Says("a/x.png cannot be read as an image")),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: os.mkfifo(root / "a/x.png")), Notes("1 pipes, sockets or devices .such as x.png", TEN)),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: os.mkfifo(root / "x")), Notes("1 pipes", TEN)),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: r.put(root / ".c/0.png", root / ".c/1")), Notes("2 hidden .such as 0.png", TEN)),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: r.put(root / "a/.old/x/0.png", root / "b/.0.png")), Notes("2 hidden", TEN)),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: r.put(root / "a/.ipynb_checkpoints/0.png", root / ".git/0.png")), TEN),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: (root / "a").rename(root / ".a")), Says("holds 1 class folder")),
    (r.pipe, Says("x.npz is no data set")),
    (lambda f: r.read_counts(f / "none.NPZ"), Says("There is no file .*none.NPZ")),
]

NO_UTF8 = [
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: r.rename(root / "b", b"b\xff")), ({"a": 8, "b\\xff": 8}, {"a": 2, "b\\xff": 2})),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: r.rename(root / "b/0.png", b"\xff.png")), TEN),
    (lambda f: r.changed(f, {"a": 10, "b": 10, "b\\xff": 10}, lambda root: r.rename(root / "b", b"b\xff")), Says(r"2 classes are called 'b.+xff'")),
    (lambda f: r.named(f, os.fsdecode(b"x\xff")), "x\\xff"),
    (lambda f: r.changed(f, {"a": 10, "b": 10}, lambda root: (root / os.fsdecode(b"b/\xff.png")).write_bytes(b"x")), Says(r"b/.xff.png cannot be read")),
]

THREE = ({"1": 16, "2": 16, "3": 16}, {"1": 4, "2": 4, "3": 4})
LABELS = [
    (lambda f: r.arrays(f, labels=np.arange(60) % 3 + 1), Notes("the labels 1, 2, 3 became the classes 0 to 2", THREE)),
    (lambda f: r.arrays(f, labels=np.where(np.arange(60) % 3, np.arange(60) % 3, 255)), Notes("1, 2, 255 became", ({"1": 16, "2": 16, "255": 16}, {"1": 4, "2": 4, "255": 4}))),
    (lambda f: r.arrays(f, labels=np.arange(60) % 3 * 10), Notes("labels 0, 10, 20 became", ({"0": 16, "10": 16, "20": 16}, {"0": 4, "10": 4, "20": 4}))),
    (lambda f: r.arrays(f, labels=np.arange(60) % 3 + 1, class_names=["x", "y", "z"]), Notes("labels 1, 2, 3", ({"x": 16, "y": 16, "z": 16}, {"x": 4, "y": 4, "z": 4}))),
    (lambda f: r.arrays(f, labels=np.arange(60) % 3 + 1, class_names=list("wxyz")), ({"w": 0, "x": 16, "y": 16, "z": 16}, {"w": 0, "x": 4, "y": 4, "z": 4})),
    (lambda f: r.arrays(f, class_names=np.array([b"ants", b"bees", b"001"])), ({"ants": 16, "bees": 16, "001": 16}, {"ants": 4, "bees": 4, "001": 4})),
    (lambda f: r.arrays(f, labels=np.where(np.arange(60), np.arange(60) % 3, 255)), Says("'255' has 1 images, of which none is left for a test set.*19 of '0', 20 of '1', 20 of '2', 1 of '255'")),
    (lambda f: r.arrays(f, labels=np.repeat([0, 1], [58, 2])), Says("'1' has 2 images.*58 of '0', 2 of '1'")),
    (lambda f: r.counted(f, {"a": 30, "b": 2}), Says("'b' has 2 images, of which none.*5 a class.*30 of 'a', 2 of 'b'")),
    (lambda f: r.counted(f, {"train/a": 8, "train/b": 1, "test/a": 2, "test/b": 2}), Says("'b' has 1 training and 2 test images; at least 2 and 1")),
    (lambda f: r.arrays(f, labels=np.full(60, 3)), Says("all images are of '3'; at least 2 classes")),
    (lambda f: r.validation(f, [300, 40, 8], 58), [49, 7, 2]),
    (lambda f: r.validation(f, [900, 20, 5, 2], 20), [17, 1, 1, 1]),
    (lambda f: r.validation(f, [4, 200], 10), [1, 9]),
    (lambda f: r.validation(f, [60, 60, 60], 30), [10, 10, 10]),
    (lambda f: r.validation(f, [50, 40, 8], 1), Notes("n_val is 1, but there are 3 classes, so 2 or more of them have none", [1, 0, 0])),
    (lambda f: r.taken(f, n_train=2), Notes("n_train is 2, but there are 3 classes, so 1 or more", (2, 0, 12))),
    (lambda f: r.taken(f, n_test=1), Notes("n_test is 1, but there are 3 classes, so 2 or more", (48, 0, 1))),
    (lambda f: r.taken(f, n_train=3, n_val=3, n_test=3), (3, 3, 3)),
    (lambda f: r.taken(f, n_train=np.int64(6), n_val=0, n_test=None), (6, 0, 12)),
    (lambda f: r.taken(f, n_train=0), Says("n_train is 0; it must be a whole number of at least 1, or None")),
    (lambda f: r.taken(f, n_train=-5), Says("n_train is -5; it must be")),
    (lambda f: r.taken(f, n_train=2.5), Says("n_train is 2.5; it must be")),
    (lambda f: r.taken(f, n_train=True), Says("n_train is True; it must be")),
    (lambda f: r.taken(f, n_train="10"), Says("n_train is '10'; it must be")),
    (lambda f: r.taken(f, n_val=-1), Says("n_val is -1; it must be a whole number of at least 0[.]")),
    (lambda f: r.taken(f, n_val=None), Says("n_val is None; it must be a whole number of at least 0[.]")),
    (lambda f: r.taken(f, n_test=0), Says("n_test is 0; it must be")),
    (lambda f: r.taken(f, image_size=0), Says("image_size is 0; it must be")),
    (lambda f: r.arrays(f, labels=np.arange(60, dtype=np.uint64) % 3 + 2**63), Says("labels go up to 9223372036854775810; at most 9223372036854775807")),
    (lambda f: r.arrays(f, labels=np.arange(60, dtype=np.uint64) % 3), ({"0": 16, "1": 16, "2": 16}, {"0": 4, "1": 4, "2": 4})),
    (lambda f: r.arrays(f, class_names=["x", "y", "x"]), Says("2 classes are called 'x'; give each its own name")),
    (lambda f: r.arrays(f, class_names=np.array([b"a", b"\xff", b"\xfe"])), ({"a": 16, "\\xff": 16, "\\xfe": 16}, {"a": 4, "\\xff": 4, "\\xfe": 4})),
    (lambda f: r.arrays(f, class_names=["a", "b", "\ud800"]), ({"a": 16, "b": 16, "\\ud800": 16}, {"a": 4, "b": 4, "\\ud800": 4})),
    (lambda f: r.arrays(f, name="x.NPZ", labels=np.arange(60) % 2), ({"0": 24, "1": 24}, {"0": 6, "1": 6})),
]

DESCRIPTIONS = [  # what describes a PNG is broken, its pixels are not
    (lambda f: r.colour_in(f, r.with_chunk(r.saved(r.flat(r.RED), "png"), b"eXIf", b"broken")), (255, 0, 0)),
    (lambda f: r.colour_in(f, r.with_chunk(r.saved(r.flat(r.RED), "png"), b"eXIf", b"II*\0", right=False)), (255, 0, 0)),
    (lambda f: r.colour_in(f, r.with_chunk(r.saved(r.flat(r.RED), "png"), b"iCCP", b"no profile")), (255, 0, 0)),
    (lambda f: r.colour_in(f, r.with_chunk(r.saved(r.flat(r.RED), "png"), b"tEXt", b"x\0y", right=False)), (255, 0, 0)),
    (lambda f: r.colour_in(f, r.with_chunk(r.saved(r.flat(r.RED), "png"), b"pHYs", b"\1")), (255, 0, 0)),
    (lambda f: r.colour_in(f, r.with_chunk(r.saved(r.palette((255, 0, 0), True), "png", transparency=0), b"pHYs", b"\1")), (255, 255, 255)),
    (lambda f: r.colour(f, r.flat((0, 0, 255), "RGB"), "x.jpg", exif=b"Exif\0\0broken", quality=100), (0, 0, 254)),
    (lambda f: r.colour(f, r.flat(r.RED), "x.webp", exif=b"broken", lossless=True), (255, 0, 0)),
    (lambda f: r.colour_in(f, r.saved(r.flat(r.RED), "png")[:-30]), Says("x.png cannot be read as an image")),
]

OWN_CLASSIFIERS = [
    (lambda f: r.own(f, 28), Says("images have 28x28 pixels.*the kit enlarged them to 32x32.*Resize.28.*fails: .*mat1")),
    (lambda f: r.own(f, 32), Notes("images have 28x28 pixels.*enlarged them to 32x32", "1")),
    (lambda f: r.own(f, 16, 2, r.npz_of(f, 12)), Notes("images have 12x12 pixels.*enlarged them to 16x16", "1")),
    (lambda f: r.own(f, 12, 2, r.npz_of(f, 12)), Says("have 12x12 pixels.*enlarged them to 16x16.*Resize.12")),
    (lambda f: r.own(f, 12, 2, r.npz_of(f, 16)), Says("^The classifier does not take images of shape .1, 16, 16")),
    (lambda f: r.own(f, 16, 2, r.npz_of(f, 16)), "1"),
    (lambda f: r.own(f, 16, 3, r.npz_of(f, 16)), Notes("no more than by chance. It has 3 outputs for 2 classes", "1")),
    *((lambda f, side=side: r.own(f, side, 2, r.npz_of(f, side), channels=3), Says(f"^The classifier does not take images of shape .1, {side}, {side}.: it was made for 3 channels, these have 1")) for side in (28, 12, 16, 30)),
    (lambda f: r.own(f, 16, 2, r.npz_of(f, 16, first=1)), Notes("labels 1, 2 became", "1")),
    (lambda f: r.own(f, 16, 3, r.npz_of(f, 16, first=1)), Says("gives 3 logits, but the data have 2 classes, numbered anew")),
]

EDITED = [  # in a session, data are what lies in their files now
    (lambda f: r.told_apart(f, lambda root: r.paint(root / "a/0.png")), True),
    (lambda f: r.told_apart(f, lambda root: r.paint(root / "b/8.png"), linked=True), True),
    (lambda f: r.told_apart(f, lambda root: r.swap(root / "a/0.png", root / "b/1.png"), linked=True), True),
    (lambda f: r.told_apart(f, lambda root: (root / "a/0.png").rename(root / "b/10.png")), True),
    (lambda f: r.told_apart(f, lambda root: (root / "a").rename(root / "c"), linked=True), True),
    (lambda f: r.told_apart(f, lambda root: r.paint(root / "a/new.png")), True),
    (lambda f: r.told_apart(f, lambda root: (root / "a/Thumbs.db").write_bytes(b"x")), False),
    (lambda f: r.told_apart(f, lambda root: (root / "about.txt").write_bytes(b"x")), False),
    (lambda f: r.told_apart(f, lambda root: (root / "a/0.png").touch()), False),
    (r.turn_back, {"a": 8, "b": 8}),
    (lambda f: r.renamed(f, "001"), ("a", "b", "001")),
]

RECORDED = [  # a value that the kit does not know is in no comparison: the table is refused
    (r.recorded, 1),
    (lambda f: r.recorded(f, control="other images", choice="random", budget=0.5, planned_seeds=""), 1),
    *((lambda f, name=name, x=x: r.recorded(f, **{name: x}), Says(f"row 1, column '{name}': '{x}' is not {words}.*bring back the former file"))
      for name, x, words in (
          ("control", "shuffled", "one of '', 'other images', 'shuffled labels', 'random weights'"), ("method", "cladec", "one of 'original', 'ClaDec', 'RefAE', 'PCA'"),
          ("choice", "best", "one of '', 'most important'"), ("budget", 0.25, "one of 0.5, 1.0"), ("budget", "nan", "one of 0.5"), ("metric", "MSE", "one of 'mse'"),
          ("planned_seeds", "0;1", "whole numbers from 0 up with"), ("planned_seeds", "-1", "whole numbers"), ("planned_seeds", "1.0", "whole numbers"),
          ("chance", 1.5, "a number from 0 to 1"), ("chance", -0.1, "a number"), ("chance", "nan", "a number"), ("alpha", 2.0, "a number from 0 to 1, or empty"),
          ("seed", -1, "a whole number from 0 up"), ("attempt", -1, "a whole"), ("expected_seeds", -2, "a whole"))),
    (r.own_effects, 1.0),
    (lambda f: r.own_effects(f, claim="G9"), Says("row 1, column 'claim': 'G9' is not one of 'C1'.*bring back")),
    (lambda f: r.own_effects(f, error=-0.1), Says("column 'error': '-0.1' is not a number from 0 up")),
    (lambda f: r.own_effects(f, seeds=-1), Says("column 'seeds': '-1' is not a number from 0 up")),
    (lambda f: r.own_effects(f, share=1.5), Says("column 'share': '1.5' is not a number from 0 to 1")),
    *((lambda f, x=x: r.own_effects(f, parts=x), Says("column 'parts': .* is not a JSON list of effects"))
      for x in ("x", "", "3", "null", "{}", "[1]", '["a"]', '[{"mean": 1}]', "[[]]", "[" * 9999)),
]

MEMORY = [  # images that are given in memory
    (lambda f: r.given(r.labelled([0, 1] * 5)), (8, 2)),
    (lambda f: r.given(r.labelled([7, 2**62] * 5)), (8, 2)),
    (lambda f: r.given(r.labelled(list(range(6)))), Says("class '0' has 1 images, of which none is left for a test set; 5 a class are needed.*1 of '5'")),
    (lambda f: r.given(r.labelled([0] * 9 + [4])), Says("class '4' has 1 images, of which none is left.*9 of '0', 1 of '4'")),
    (lambda f: r.given(r.Samples([(r.flat((0, 99, 0), "RGB"), i % 3) for i in range(6)])), Says("class '0' has 2 images, of which none")),
    *((lambda f, x=x: r.with_label(x), Says(f"The label of sample 9 of the Dataset is .*, a {kind}; it must be the number of a class, a whole number from 0 to"))
      for x, kind in ((0.7, "float"), (None, "NoneType"), ("cat", "str"), ("1", "str"), (r.torch.eye(3)[0], "Tensor"), (np.eye(3)[0], "ndarray"), (float("nan"), "float"), (2**70, "int"), (-1, "int"))),
    *((lambda f, x=x: r.with_label(x), (8, 2)) for x in (0, np.int64(0), np.uint8(0), r.torch.tensor(0))),
    (lambda f: r.given(r.Samples([])), Says("The Dataset is empty")),
    (lambda f: r.given(r.Samples([{"image": 1, "label": 2}] * 9)), Says(r"Sample 0 of the Dataset is a dict of 2; it must be a pair \(image, label\)")),
    (lambda f: r.given(r.Samples([r.flat((0, 99, 0), "RGB")] * 9)), Says("Sample 0 of the Dataset is a Image; it must be a pair")),
    (lambda f: r.given(r.Samples([(r.flat((0, 99, 0), "RGB"), 0, 0)] * 9)), Says("is a tuple of 3; it must be a pair")),
    (lambda f: r.given(r.NoLength()), Says("A NoLength has no samples by number; give a torch Dataset with __len__")),
    (lambda f: r.given(r.Stream()), Says("A Stream has no samples by number")),
    (lambda f: r.given(r.Samples([(r.torch.full((1, 8, 8), 99, dtype=kind), 0) for kind in (r.torch.uint8, r.torch.float32) * 5])), Says("of the types torch.uint8, torch.float32; give all as uint8")),
    (lambda f: r.given(r.Samples([(r.flat((99,), "L"), 0), (r.flat((0, 99, 0), "RGB"), 0)] * 5)), Says("of the shapes .1, 16, 16., .3, 16, 16.; .* one number of channels")),
    *((lambda f, mode=mode: r.picture(r.flat((9, 0), "LA").convert(mode)), [255, 255, 255]) for mode in ("La", "LA")),
    (lambda f: r.picture(r.flat((9, 255), "LA").convert("La")), [9, 9, 9]),
    (lambda f: r.picture(r.flat((255, 0, 0, 51)).convert("RGBa")), [255, 204, 204]),
    *((lambda f, mode=mode: r.picture(r.Image.new(mode, (16, 16))), Says(f"Image 0 of the Dataset has pixels of type '{mode}', more than 8 bits")) for mode in ("I;16", "I", "F")),
    (lambda f: r.picture(r.flat(r.CLEAR)), [255, 255, 255]),
    (lambda f: r.picture(r.flat((255, 0, 0, 51))), [255, 204, 204]),
    (lambda f: r.picture(r.flat((9, 0), "LA")), [255, 255, 255]),
    (lambda f: r.picture(r.palette((255, 0, 0), True)), [255, 255, 255]),
    (lambda f: r.picture(r.palette((255, 0, 0), False)), [255, 0, 0]),
    (lambda f: r.picture(r.wide(), size=8), [255, 0, 0]),
    (lambda f: r.picture(r.wide()), [255, 0, 0]),
    (lambda f: r.given((r.labelled([0] * 9)[0], r.torch.zeros(9, 1).long())), Says(r"the labels are torch.int64 of shape \(9, 1\). Give labels\[:, 0\][.]$")),
    (lambda f: r.given((r.labelled([0] * 9)[0], r.torch.zeros(9, 3))), Says(r"of shape \(9, 3\). Give labels.argmax\(1\)[.]$")),
    (lambda f: r.given((r.labelled([0] * 9)[0], r.torch.zeros(9))), Says(r"of shape \(9,\). Give the numbers of the classes, as integers")),
    *((lambda f, x=x, where=where: r.given(where(f), size=x), Says(f"size is {x!r}; it must be a"))
      for x in (0, -8, 30, 64.0, "64", True, 2**40) for where in (lambda f: r.labelled([0] * 9), lambda f: r.class_folders(f, {"a": 5, "b": 5}))),
    *((lambda f, x=x: r.given(r.labelled([0] * 9), seed=x), Says(f"seed is {x!r}; it must be")) for x in (-1, 0.5, "0", None, True)),
    (lambda f: r.given(r.labelled([0] * 9), seed=2**70), Says("it must be below 2..63")),
    (lambda f: r.given(r.labelled([0] * 9), size=16, seed=3), (8, 1)),
]

KEYS = [  # what is in an .npz and would not be read
    (lambda f: r.arrays(f, test_images=r.bits(highest=255)[:9], test_labels=np.arange(9) % 3), ({"0": 20, "1": 20, "2": 20}, {"0": 3, "1": 3, "2": 3})),
    *((lambda f, name=name: r.arrays(f, **{name: r.bits(highest=255)}), Says(f"x.npz holds {name}, which would not be read beside images, labels. Call the arrays images"))
      for name in ("test_images", "val_images", "x_test", "train_images")),
    (lambda f: r.arrays(f, test_labels=np.arange(60) % 3), Says("holds test_labels, which would not be read")),
    (lambda f: r.arrays(f, **{name: r.bits(highest=255) if "images" in name else np.arange(60) % 3 for name in ("test_images", "test_labels", "val_images", "val_labels")}),
     Notes("x.npz: val_images, val_labels are not read, but images, labels, test_images, test_labels", ({"0": 20, "1": 20, "2": 20}, {"0": 20, "1": 20, "2": 20}))),
    *((lambda f, name=name: r.arrays(f, **{name: np.array(["x", "y", "z"])}), Notes(f"x.npz: {name} is not read, but images, labels; the names of classes must be called class_names", ({"0": 16, "1": 16, "2": 16}, {"0": 4, "1": 4, "2": 4})))
      for name in ("class_name", "classes")),
    (lambda f: r.arrays(f, class_names=np.array(["x", "y", "z"], dtype=object)), Says(r"x.npz: class_names has the dtype object.*numpy.array\(class_names.tolist\(\), dtype=str\)")),
    (lambda f: r.arrays(f, labels=(np.arange(60) % 3).astype(object)), Says(r"labels has the dtype object.*dtype=int\)")),
    (lambda f: r.arrays(f, labels=np.arange(60)[:, None] % 3), Says(r"labels are int64 of shape \(60, 1\). Give labels\[:, 0\][.]$")),
    (lambda f: r.arrays(f, labels=np.eye(3)[np.arange(60) % 3]), Says(r"of shape \(60, 3\). Give labels.argmax\(1\)[.]$")),
    (lambda f: r.arrays(f, labels=np.arange(60) % 3 * 1.0), Says(r"are float64 of shape \(60,\). Give the numbers of the classes, as integers")),
]

TOLD = [  # of folders
    (lambda f: r.counted(f, {"Dog": 10, "dog": 10}), Notes("photos: 'Dog' and 'dog' are different classes, though only upper and lower case", ({"Dog": 8, "dog": 8}, {"Dog": 2, "dog": 2}))),
    (lambda f: r.counted(f, {"dog": 10, "dog ": 10}), Notes("'dog' and 'dog ' are different", ({"dog": 8, "dog ": 8}, {"dog": 2, "dog ": 2}))),
    (lambda f: r.counted(f, {"e\u0301": 10, "\xe9": 10}), Notes("are different classes", ({"e\u0301": 8, "\xe9": 8}, {"e\u0301": 2, "\xe9": 2}))),
    (lambda f: r.counted(f, {"train/dog": 8, "train/cat": 8, "val/dog ": 2, "val/cat": 2}), Says("are two classes, as upper and lower case, spaces at the ends")),
    *((lambda f, kind=kind: r.beside(f, {"a": 9, "b": 10}, {f"a/x.{kind}": r.saved(r.flat(r.RED), kind, save_all=True, append_images=[r.flat(r.GREEN)])}),
       Notes(f"photos: of 1 images with several pages or frames .such as x.{kind}. the first is read", TEN)) for kind in ("gif", "png", "webp", "tif")),
    (lambda f: r.counted(f, {"data/train/a": 8, "data/train/b": 8, "data/test/a": 2, "data/test/b": 2}), Says("If the data set has the parts test, train, give .*photos/data[.]$")),
]

GENERATED = [  # JSON of the wrong kind
    (r.generated, "0123"),
    *((lambda f, x=x: r.generated(f, study=x), Says("study.json cannot be read .it holds a .*, not an object of a study.; generate the study first, or bring back")) for x in ([], 3, "x", None)),
    *((lambda f, x=x: r.generated(f, key=x), Says("key.json cannot be read .it holds a .*, not an object")) for x in ([], 3, "x", None)),
    *((lambda f, name=name: r.generated(f, study=r.STUDY | {name: 3}), Says(f"study.json cannot be read .its '{name}' is missing, or not what the kit writes")) for name in r.STUDY),
    *((lambda f, name=name: r.generated(f, key=r.KEY | {name: 3}), Says(f"key.json cannot be read .its '{name}' is missing")) for name in r.KEY),
    (lambda f: r.generated(f, key=r.KEY | {"study_hash": "9"}), Says("are of different studies")),
    *((lambda f, x=x: r.setting(f, x.encode()), Says("must hold one JSON object of settings")) for x in ("3", '"x"', "null", "[1]")),
    *((lambda f, x=x: r.setting(f, r.json.dumps({"post_url": x}).encode()), Says("Setting 'post_url' is .*; it must begin with https:// .or http://. and be an address"))
      for x in ("http://[", "https://", "https://x:y/", "https:///a", "https://a b.org", "example.org", "https://:80/", "mailto:a@b.org")),
    *((lambda f, x=x: r.setting(f, r.json.dumps({"post_url": x, "payment": "1"}).encode()), "1") for x in ("https://a.org:8443/x?y={{%ID%}}", "http://127.0.0.1:8000/", "http://LOCALHOST/", "https://a-b.org:443/\xe4?\xf6", "")),
    *((lambda f, x=x: r.posting(f, x), Says(f"^Setting 'post_url' is .*; no page can send there: {words}"))
      for x, words in (("http://[::1]:8123/r", "its host is an IPv6 address.*use 127.0.0.1 or a name"), ("https://u:p@127.0.0.1/r", "it holds a user or a password"), ("https://u@a.org", "it holds a user"),
                       ("https://x.org;y/r", "its host may have letters, digits, hyphens and dots"), ("https://*.x.org/", "its host may have"), ("https://a_b.org/", "its host may have"), ("https://x.org./", "its host may have"), ("https://a%41.org/", "its host may have"),
                       ("http://127.1:8000/", "its host is not four numbers"), ("http://2130706433/", "its host is not four numbers"), ("http://0x7f.0.0.1/", "its host is not four"), ("https://\xe4\u2024.org/", "its host"))),
    *((lambda f, x=x: r.posting(f, x), out) for x, out in (
        ("https://m\xe4use.example/responses", ("https://xn--muse-loa.example/responses", "m\xe4use.example")), ("https://stra\xdfe.example:8443/r?a=\xe4", ("https://xn--strae-oqa.example:8443/r?a=\xe4", "stra\xdfe.example:8443")),
        ("https://\u4f8b\u3048.jp", ("https://xn--r8jz45g.jp", "\u4f8b\u3048.jp")), ("https://M\xc4USE.example/", ("https://xn--muse-loa.example/", "m\xe4use.example")), ("http://a.org:80/x", ("http://a.org:80/x", "a.org:80")), ("", ("", "")))),
    *((lambda f, x=x, page=page: r.posting(f, x, page), out) for x, page, out in (
        ("http://a.org/r", "https://b.org/", Says("'post_url' is 'http://a.org/r', but 'page_url' begins with https://, and browsers let such a page send to https:// only")),
        ("http://127.0.0.1:8000/r", "https://b.org/", ("http://127.0.0.1:8000/r", "127.0.0.1:8000")), ("http://a.org/r", "http://b.org/", ("http://a.org/r", "a.org")))),
    *((lambda f, x=x: r.setting(f, r.json.dumps({"title": x}).encode()), Says("Setting 'title' in .* is empty; write the heading of the page, or take it out")) for x in ("", " ", "\n")),
]

STUDIES = [
    (lambda f: r.opened(layers=["logits"], seeds=[np.int64(2), 1], neurons=[r.torch.tensor(3), 1]), (("logits",), (2, 1), (3, 1))),
    *((lambda f, x=x: r.opened(seeds=x), Says("The seeds are .*; they must be")) for x in (3, [True], [], [1, 1], [0.5], "12", {1, 2}, [-1], [9 * 10**19], ["1"])),
    *((lambda f, x=x: r.opened(layers=["logits"], neurons=x), Says("neurons is .*; it must be None or indices")) for x in (0, [True], [0.5], ["1"], "12", {1})),
    *((lambda f, x=x: r.opened(layers=x), Says("The layers are ")) for x in (3, [3], {"logits"}, ["logits", "logits"], b"logits")),
    *((lambda f, x=x: r.opened(alphas=x), Says("The alphas are .*; they must be")) for x in (0.5, "0.5", {0.5}, [])),
    *((lambda f, x=x: r.opened(profile=x), Says("The profile is .*; it must be a name, such as quick")) for x in (3, ["smoke"])),
    *((lambda f, x=x: r.opened(dataset=x), Says("The data set is a .*; it must be a name, such as fashion-mnist, or the path")) for x in (5, ["mnist"], r.torch.zeros(2), np.zeros(2))),
    *((lambda f, x=x: r.opened(image_size=x), Says("image_size is .*; it must be a")) for x in (10**9, 0, 30, 64.0, "64", True)),
]
# fmt: on
@pytest.mark.parametrize(("given", "outcome"), r.of_tables(globals()))
def test_reported(given, outcome, tmp_path):
    check(given, outcome, tmp_path)

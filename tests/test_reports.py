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
    (lambda f: r.dark_test(f, 255), ({"0": 20, "1": 20, "2": 20}, {"0": 20, "1": 20, "2": 20})),
    (lambda f: r.dark_test(f, 1), Says("is brighter than 1")),
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
    (lambda f: r.emptied(f, "a"), Says("a holds 0 files, but no image")),
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
    (lambda f: r.counted(f, {"train/Dog": 8, "train/cat": 8, "val/dog": 2, "val/cat": 2}), Says("val/dog and .*train/Dog are two classes, as upper and lower case")),
    (lambda f: r.counted(f, {"train/Dog": 8, "train/Cat": 8, "val/dog": 2, "val/cat": 2}), Says("val/cat and .*train/Cat are two classes")),
    (lambda f: r.counted(f, {"train/\xe9": 8, "train/a": 8, "val/e\u0301": 2, "val/a": 2}), Says("the coding of accents differ")),
    (lambda f: r.counted(f, {"train/Dog": 8, "train/dog": 8, "val/dog": 2, "val/Dog": 2}), ({"Dog": 8, "dog": 8}, {"Dog": 2, "dog": 2})),
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
    (lambda f: r.own(f, 16, 3, r.npz_of(f, 16)), "1"),
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
# fmt: on
KINDS = {name: rows for name, rows in globals().items() if isinstance(rows, list)}
ROWS = [
    pytest.param(*row, id=f"{kind.lower()}-{i}")
    for kind, rows in KINDS.items()
    for i, row in enumerate(rows, 1)
]


@pytest.mark.parametrize(("given", "outcome"), ROWS)
def test_reported(given, outcome, tmp_path):
    check(given, outcome, tmp_path)

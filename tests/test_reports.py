"""Faults that people reported, each with its kind: what was given -> what must come out, or which sentence.

The next report is one more line. An outcome is a value, `Says` (refused with this sentence) or `Notes`
(taken, with this note); what can be given is in `reports`.
"""

import pytest
import reports as r
from reports import Notes, Says, check  # noqa: F401

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
    (lambda f: r.read_back(f, "many", int), Says(r"row 1, column 'name': 'many' is not int.*remove it")),
    (lambda f: r.read_back(f, "yes", bool), Says("'yes' is not bool")),
    (lambda f: r.read_text(f, "a,b\n1\n", a=str), Says("row 1 has not 2 cells")),
    (lambda f: r.read_text(f, "a,b\n1,2,3\n", a=str), Says("row 1 has not 2 cells")),
    (lambda f: r.read_text(f, "b\n1\n", a=str), Says("it has no column 'a'")),
    (lambda f: r.read_text(f, "", a=str), Says("is not a table")),
    (lambda f: r.read_text(f, 'a\n"1\n', a=str), Says("is not a table")),
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
# fmt: on


@pytest.mark.parametrize(("given", "outcome"), [*TEXT_IN_TABLES, *MARKS])
def test_reported(given, outcome, tmp_path):
    check(given, outcome, tmp_path)

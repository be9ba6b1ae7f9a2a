"""Ways to run a study: self-hosted with a small collector, Prolific, Mechanical Turk."""

from string import Template

from cladec_utils.user_study_content import Content, asset
from cladec_utils.user_study_settings import fill, unfilled

MTURK_LIMIT = 65_535  # bytes of a question's XML
RESPONSE_LIMIT = 262_144  # bytes; a response with 48 items and long texts has about 60,000
_HTML = """<?xml version="1.0" encoding="UTF-8"?>
<HTMLQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2011-11-11/HTMLQuestion.xsd">
<HTMLContent><![CDATA[
{page}
]]></HTMLContent>
<FrameHeight>0</FrameHeight>
</HTMLQuestion>
"""
_EXTERNAL = """<?xml version="1.0" encoding="UTF-8"?>
<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd">
<ExternalURL>{url}</ExternalURL>
<FrameHeight>0</FrameHeight>
</ExternalQuestion>
"""


def mturk_question(page: str, url: str) -> tuple[str, str]:
    """The question's XML and its kind: the page itself where it is small enough, else its address."""
    whole = _HTML.format(page=page.replace("]]>", "]]]]><![CDATA[>"))
    if len(whole.encode()) <= MTURK_LIMIT:
        return whole, "an HTMLQuestion with the whole page in it"
    escaped = url.replace("&", "&amp;").replace("<", "&lt;")
    return _EXTERNAL.format(url=escaped), "an ExternalQuestion that names the page's address"


def exports(content: Content, page: str, settings: dict[str, str]) -> dict[str, str]:
    """Files for `exports/` by name: collector, hosting, Prolific, Mechanical Turk.

    A launch build leaves out a platform whose settings (`page_url`, `completion_code`) are not filled in.
    """
    url = settings["page_url"] or "[[page_url]]"
    question, kind = mturk_question(page, url)
    external = kind.startswith("an External")
    facts = {
        "url": url,
        "code": settings["completion_code"] or "[[completion_code]]",
        "arms": len(content.study["arms"]),
        "kind": kind,
        "size": f"{len(page.encode()):,}",
        "limit": f"{MTURK_LIMIT:,}",
        "advice": f"Host the page over HTTPS at {url}." if external else "",
        "sites": "www.mturk.com and workersandbox.mturk.com",
    }
    found = {"mturk_question.xml": question, "collector.py": asset("collector.py")}
    for name in ("prolific", "mturk"):
        found[f"{name}.md"] = fill(Template(asset(f"documents/{name}.md")).substitute(facts), settings)
    hosting = Template(asset("documents/hosting.md")).substitute(limit=f"{RESPONSE_LIMIT:,}")
    if content.study["build"] == "launch":
        # Of what is no prose only the address is filled in; a script may well hold two brackets.
        filled = {"mturk_question.xml": url if external else "", "collector.py": ""}
        found = {name: text for name, text in found.items() if not unfilled(filled.get(name, text))}
    return {**found, "hosting.md": hosting}

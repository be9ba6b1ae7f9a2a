"""The participants' page: one self-contained HTML file, pictures embedded, no request to anywhere."""

import base64
import html
import json
from string import Template
from urllib.parse import urlsplit

from cladec_utils.user_study_content import Content, asset

SCRIPTS = ("dom", "state", "steps", "forms", "views", "finish", "main")


def page(content: Content) -> str:
    """index.html for a study. The only address it may ever send to is the study's own `post_url`."""
    address = urlsplit(content.study["post_url"])
    images = {
        code: "data:image/png;base64," + base64.b64encode(data).decode()
        for code, data in content.pictures.items()
    }
    study = json.dumps(content.study | {"images": images}, sort_keys=True, separators=(",", ":"))
    return Template(asset("questionnaire.html")).substitute(
        title=html.escape(content.study["title"]),
        connect=f"{address.scheme}://{address.netloc}" if address.netloc else "'none'",
        style=asset("questionnaire.css").strip(),
        # In a script element `<` could begin an end tag; the other two are line ends to old parsers.
        study=study.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
        script="\n".join(asset(f"{name}.js").strip() for name in SCRIPTS),
    )

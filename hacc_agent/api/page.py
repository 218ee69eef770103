"""The live view: one file, which needs nothing from anywhere else and may fetch nothing from there.

Its policy names its script and its style by their digests, so that whatever else should get into
it is not run.
"""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.responses import Response

FILE: Final = Path(__file__).with_name("page.html")


def page() -> Response:
    text = FILE.read_text("utf-8")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_digests(text, 'script')}",
            f"style-src {_digests(text, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return Response(text, media_type="text/html", headers={"content-security-policy": policy})


def _digests(text: str, element: str) -> str:
    found = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
    return " ".join(
        f"'sha256-{base64.b64encode(sha256(each.encode()).digest()).decode()}'" for each in found
    )

"""OSPF: `passive-interface default` turns the meaning of its neighbours around."""

from __future__ import annotations

from ..edit import Edit

_DEFAULT = "passive-interface default"


def set_passive_default(edit: Edit) -> None:
    """Every interface is passive: what was said of single ones is forgotten."""
    if edit.old is None:
        unset_passive_default(edit)
    edit.put()


def unset_passive_default(edit: Edit) -> None:
    for line in edit.section.starting("passive-interface"):
        edit.section.drop(line.key)


def set_passive(edit: Edit) -> None:
    if _DEFAULT in edit.section.lines:
        edit.drop()
    else:
        edit.put()


def unset_passive(edit: Edit) -> None:
    if _DEFAULT in edit.section.lines:
        edit.put(f"no {edit.text}")
    else:
        edit.drop()

"""What a controller's HSRP speaker is told of preemption."""

from __future__ import annotations

import dataclasses

from tasks.standby import IN_STEP_S, hsrp_config
from tests import clusters


def test_a_controller_with_a_link_preempts_when_it_is_in_step() -> None:
    """Without one it will never be told what the other one has, and has nothing to wait for."""
    alone = clusters.cases()["hsrp"].device("hacc1")
    link = next(device.link for device in clusters.cases()["radius"].devices if device.link)
    linked = dataclasses.replace(alone, link=link)
    assert {group.preempt_sync_s for group in hsrp_config(alone).groups} == {0}
    assert {group.preempt_sync_s for group in hsrp_config(linked).groups} == {IN_STEP_S}
    assert all(group.preempt_minimum_s < IN_STEP_S for group in hsrp_config(linked).groups)

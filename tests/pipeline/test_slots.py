"""Slots: the newest item wins, and one hiccup of a consumer that keeps up costs nothing."""

from __future__ import annotations

import threading
from itertools import pairwise

from handviz.pipeline.slots import MOST_WAITING, LatestSlot, PatientSlot


def played(slot: LatestSlot[int], work: list[int]) -> list[int]:
    """What a consumer gets that works this many ticks on each item, with an item every third tick, in virtual time."""
    taken: list[int] = []
    free_at, now = 0, 0
    while len(taken) < len(work):
        if now % 3 == 0:
            slot.put(now // 3)
        if now >= free_at and (item := slot.poll()) is not None:
            free_at = now + work[len(taken)]
            taken.append(item)
        now += 1
    return taken


# One tick of work per item, and eight for every fifteenth: 1.5 ticks per item, where three are available.
HICCUPS = [8 if place % 15 == 7 else 1 for place in range(120)]


def test_a_taker_that_is_held_up_now_and_then_gets_everything() -> None:
    slot: PatientSlot[int] = PatientSlot()
    assert played(slot, HICCUPS) == list(range(120)) and slot.dropped == 0


def test_newest_wins_loses_an_item_at_each_hiccup() -> None:
    slot: LatestSlot[int] = LatestSlot()
    played(slot, HICCUPS)
    assert slot.dropped == 8


def test_a_taker_that_is_too_slow_gets_the_newest_all_the_same() -> None:
    for ticks in (4, 5, 7, 12):
        patient, newest = (played(slot, [ticks] * 60) for slot in (PatientSlot[int](), LatestSlot[int]()))
        # Apart from the first few, until it is known to be slow.
        assert patient[-40:] == [item - newest[-1] + patient[-1] for item in newest[-40:]], ticks
        assert all(later - first >= 1 for first, later in pairwise(patient))


def test_an_item_put_alone_drops_what_waits() -> None:
    slot: PatientSlot[int] = PatientSlot()
    for item in (1, 2):
        slot.put(item)
    slot.put(9, alone=True)
    assert slot.dropped == 2 and slot.poll() == 9 and slot.poll() is None


def test_no_more_wait_than_there_is_room_for() -> None:
    slot: PatientSlot[int] = PatientSlot()
    for item in range(10):
        slot.put(item)
    assert slot.dropped == 10 - MOST_WAITING
    assert [slot.take() for _ in range(MOST_WAITING)] == [7, 8, 9] and slot.take(timeout_s=0.01) is None


def test_a_waiting_taker_is_woken() -> None:
    slot: PatientSlot[int] = PatientSlot()
    got: list[int | None] = []
    taker = threading.Thread(target=lambda: got.extend((slot.take(), slot.take())))
    taker.start()
    slot.put(1)
    slot.close()
    taker.join(30)
    assert not taker.is_alive() and got == [1, None]

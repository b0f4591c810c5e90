"""Several people change or start interventions at the same time, in both databases: nothing is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serving.common.errors import AlreadyUnderWay, InterventionChanged
from serving.schemas.interventions import InterventionChange, InterventionRequest
from serving.store.database import Store
from serving.store.records import Author
from serving.worklist.intervention_changes import change_intervention, start_intervention
from serving.worklist.intervention_history import find_intervention, read_interventions

PEOPLE = [Author(f"key_{name}", name) for name in ("Ada", "Grace", "Edith")]
REQUEST = {"account_id": "a", "occurred_at": "2026-07-02T09:00:00Z", "play": "low_engagement", "refuse_if_under_way": True}


def start(store: Store, author: Author) -> Any:
    return start_intervention(store, author, InterventionRequest.model_validate(REQUEST))


def test_changes_by_several_people_are_all_stored_each_with_its_version(store: Store) -> None:
    key, notes = start(store, PEOPLE[0]).id, 4
    begin, refused = threading.Barrier(len(PEOPLE)), []

    def write(author: Author) -> None:
        begin.wait()
        version = 1
        for number in range(notes):
            change = InterventionChange(note=f"{author.name}-{number}")
            while True:
                try:
                    version = change_intervention(store, author, key, change, version).version
                    break
                except InterventionChanged as error:
                    refused.append(author.name)
                    version = error.current["version"]

    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        list(pool.map(write, PEOPLE))
    with store.read() as connection:
        history = find_intervention(connection, key).as_dict()["history"][1:]
    assert sorted(entry["note"] for entry in history) == sorted(f"{each.name}-{n}" for each in PEOPLE for n in range(notes))
    assert [entry["version"] for entry in history] == list(range(2, len(PEOPLE) * notes + 2))
    assert refused, "the first version is stale for all but one"


def test_one_of_several_people_who_close_an_intervention_decides_its_result(store: Store) -> None:
    key = start(store, PEOPLE[0]).id
    begin = threading.Barrier(len(PEOPLE))

    def close(place: int) -> str | None:
        result = ("saved", "lost", "no_effect")[place]
        change = InterventionChange.model_validate({"result": result, "arr": float(place)})
        begin.wait()
        try:
            change_intervention(store, PEOPLE[place], key, change, 1)
        except InterventionChanged:
            return None
        return result

    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        results = [each for each in pool.map(close, range(len(PEOPLE))) if each]
    with store.read() as connection:
        found = find_intervention(connection, key)
    assert [found.result] == results
    assert found.version == 2


def test_people_who_start_a_play_at_the_same_time_start_one(store: Store) -> None:
    begin = threading.Barrier(len(PEOPLE))

    def begin_play(author: Author) -> bool:
        begin.wait()
        try:
            start(store, author)
        except AlreadyUnderWay:
            return False
        return True

    with ThreadPoolExecutor(len(PEOPLE)) as pool:
        assert sorted(pool.map(begin_play, PEOPLE)) == [False, False, True]
    with store.read() as connection:
        assert len(read_interventions(connection)) == 1

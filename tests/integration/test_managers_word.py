"""A manager's word from the command's desk to the state and back, and stored features against the log, on real servers."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from handlers.commands.learners.checking import check
from handlers.commands.learners.desk import read_stand
from handlers.commands.learners.regenerating import make_anew
from handlers.commands.learners.standing import look
from handlers.commands.overrides.desk import end, publish, read_all, read_state, standing, word
from models.events.envelope import epoch_ms
from models.events.signals import OverrideEffect
from models.learners.consistency import ExamplesChecked
from models.policy.segments import effective_segment
from models.state.client import ClientState, Override, Segment
from models.triggers import Example
from streams.runtime.clock import make_clock
from streams.runtime.errors import UsageError
from streams.runtime.settings import Settings
from streams.wire.topics import EXAMPLES
from tests.commands import RAPPORT
from tests.conftest import SettingsMaker
from tests.integration.engine_world import crew_of, feed, on_the_log, read_topic, to_topic, until_caught_up
from tests.streams.test_program import history
from tests.waiting import until_async

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def state_of(settings: Settings) -> ClientState:
    state = await read_state(settings, "client-1")
    assert state is not None
    return state


async def held(settings: Settings, client_id: str = "client-1") -> list[Override]:
    state = await read_state(settings, client_id)
    return standing(state, state.now_ms) if state else []


async def looked(settings: Settings) -> ExamplesChecked:
    now = make_clock(settings.clock_file).now()
    return await check(settings, share=1.0, days=9_999, settle_minutes=0, now=now, author="ann")


@pytest.mark.parametrize("command", ["overrides list", "overrides lift", "portal messages"])
def test_of_a_client_nobody_knows_it_is_said_that_nobody_does(command: str, environment: dict[str, str]) -> None:
    told = subprocess.run([*RAPPORT, *command.split(), "nobody"], env=environment, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stdout) == (2, "")
    assert "no client 'nobody' is known" in told.stderr


async def test_a_word_holds_until_it_is_lifted_and_what_was_served_is_what_the_log_gives_again(
    make_settings: SettingsMaker, tmp_path: Path
) -> None:
    settings = make_settings()
    await feed(settings, on_the_log(history(), settings))
    with crew_of(settings, tmp_path) as crew:
        worker = crew.start(module="handlers.cli worker")
        await until_caught_up(settings)
        with pytest.raises(UsageError, match="still at work"):
            await make_anew(settings)
        now = make_clock(settings.clock_file).now()
        told = word(
            "client-1",
            OverrideEffect.SEGMENT,
            value="reliable",
            journey=None,
            reason="a new owner pays",
            author="ann",
            until=now + timedelta(days=30),
            now=now,
        )
        assert effective_segment(await state_of(settings), epoch_ms(now)) is not Segment.RELIABLE
        await publish(settings, told)
        await until_async(lambda: held(settings), timeout=60, what="the word in the state")
        state = await state_of(settings)
        assert effective_segment(state, state.now_ms) is Segment.RELIABLE
        (row,) = [row async for known in read_all(settings) for row in standing(known, state.now_ms)]
        await publish(settings, end(row, "client-1", author="sam", now=now + timedelta(seconds=1)))

        async def lifted() -> bool:
            return not await held(settings)

        await until_async(lifted, timeout=60, what="the word lifted")
        await until_caught_up(settings)
        assert worker.stop() == 0
    standing_check = await look(settings.model_copy(update={"learner_check_share": 1.0}))
    assert standing_check is not None
    assert (standing_check.passed, standing_check.clients, standing_check.author) == (True, 1, "trainer")
    found = await looked(settings)
    assert (found.passed, found.first, found.clients) == (True, "", 1)
    assert found.questions > 30
    await _spoil_one(settings)
    again = await looked(settings)
    assert not again.passed
    assert again.mismatched == 1
    assert (await read_stand(settings)).distrusted == again.first, "at once, whatever the trainer has stored"
    heard = [record.value for record in (await read_topic(settings, EXAMPLES))[0] if record.key == b"examples.checked"]
    assert [ExamplesChecked.model_validate_json(value or b"").passed for value in heard] == [True, True, False]
    stood = len({record.key for record in (await read_topic(settings, EXAMPLES))[0]} - {b"examples.checked"})
    assert await make_anew(settings) == stood
    assert (await looked(settings)).passed, "examples made anew take the place of those that were wrong"
    assert (await read_stand(settings)).distrusted == ""


async def _spoil_one(settings: Settings) -> None:
    """Put another answer in the place of an example, as a fault in a release would."""
    record = (await read_topic(settings, EXAMPLES))[0][0]
    row = Example.model_validate_json(record.value or b"")
    await feed(
        settings,
        [to_topic(EXAMPLES, row.model_copy(update={"late": not row.late}).model_dump_json().encode(), key=record.key or b"")],
    )

"""What a controller makes of SNMP: figures and traps for `engine.health`, lines for operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..config import AgentConfig
from ..engine.discovery.layer2 import Layer2, Survey
from ..engine.effects import Moment
from ..engine.health import Figures, Health, Trap
from ..engine.snmp.walking import records
from ..logs import Logs
from .messages import Odd, Silent
from .poller import Poller, bind_notifications, what_to_ask


class SnmpMembers:
    """Owns the process that asks; a reload that changes whom or how starts another one."""

    def __init__(
        self,
        config: AgentConfig,
        health: Callable[[], Health],
        logs: Logs,
        clock: Callable[[], Moment],
    ) -> None:
        """`health` gives the one of the moment."""
        self._health, self._logs, self._clock = health, logs, clock
        self._silent: set[int] = set()
        self._config, self._asked = config, what_to_ask(config)
        self.layer2 = Layer2(config)
        self.poller = self._start(clock())

    def reconfigure(self, config: AgentConfig) -> None:
        """`poller` may be another one from then on; the one before is closed."""
        before = self._asked, self._config.snmp
        self._config, self._asked = config, what_to_ask(config)
        if (self._asked, config.snmp) != before:
            self._silent.clear()
            self.layer2 = Layer2(config)
            self.poller.close()
            self.poller = self._start(self._clock())

    def fetch(self, name: str, take: Callable[[bytes], None], done: Callable[[str], None]) -> None:
        """The bindings of a stock member, as records; `done` is told why not, or ""."""
        members = self._config.members
        number = [member.name for member in members].index(name)
        home_agent = int(self._config.home_agent_address)

        def taken(rows: Sequence[Sequence[int]]) -> None:
            take(records(rows, home_agent, self._clock().steady).tobytes())

        self.poller.walk(number, taken, done)

    def close(self) -> None:
        self.poller.close()

    def _start(self, now: Moment) -> Poller:
        try:
            port = bind_notifications(self._config)
        except OSError as error:
            port = None
            self._logs.warning(
                "no notifications are received", why=(error.strerror or str(error)).lower()
            )
        return Poller(
            self._asked,
            port,
            self._reported,
            self._unanswered,
            self._trapped,
            self._odd,
            self._surveyed,
            self._logs.limited,
            now,
        )

    def _name(self, member: int) -> str:
        return self._config.members[member].name

    def _reported(self, figures: Figures, now: Moment) -> None:
        self._health().reported(figures.member, figures, now)
        if figures.member in self._silent:
            self._silent.remove(figures.member)
            self._logs.info("SNMP answers again", member=self._name(figures.member))

    def _unanswered(self, told: Silent, now: Moment) -> None:
        self._health().unreported(told.member, now)
        if told.member not in self._silent:
            self._silent.add(told.member)
            self._logs.warning("no answer to SNMP", member=self._name(told.member), why=told.reason)

    def _trapped(self, trap: Trap, now: Moment) -> None:
        self._health().trapped(trap, now)
        name = trap.router or self._name(trap.member)
        self._logs.limited(f"SNMP notification {trap.kind}", name, detail=trap.detail)

    def _surveyed(self, survey: Survey) -> None:
        for one in self.layer2.surveyed(survey):
            name = survey.router or self._name(survey.member)
            self._logs.limited(
                "a stranger beside a member",
                name,
                protocol=survey.protocol,
                stranger=one.name,
                address=one.address,
                port=one.port,
            )

    def _odd(self, told: Odd, _: Moment) -> None:
        who = "a stranger" if told.member is None else self._name(told.member)
        self._logs.limited("SNMP that is not believed", who, what=told.what)

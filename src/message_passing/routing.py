"""Routes: an `output_to` that is a list of conditions and names, as the filter that follows them.

output_to:
- {when: 'level >= "ERROR"', to: errors}
- {when: 'path.startswith("/health")', to: [health, archive]}
- {else: archive}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from message_passing.conditions import Condition
from message_passing.conditions.reachability import never_holds
from message_passing.declaration import Declaration, has_unread
from message_passing.errors import Fault, OptionError, abbreviate, child_location, did_you_mean
from message_passing.filters.route import MOST_ROUTES

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUTE_KEYS = ("when", "to", "else")

_FORM = "{when: CONDITION, to: NAME}"


def routes_of(kind: str, name: str, given: Any, *, error: Any, place: str) -> RouteReader:
    """Read the routes of one component.

    Args:
        kind: the component's.
        name: its name.
        given: its `output_to`.
        error: the head of its own error chain.
        place: where `given` was written.
    """
    routes = RouteReader(name, error, place)
    if kind == "encoder":
        text = "has routes, but what an encoder makes has no fields: give them to what outputs to it"
        routes.faults.append(Fault(text, place))
    elif isinstance(given, Mapping):
        routes.faults.append(Fault(f"must be a name, or a list of names or of routes like {_FORM}", place))
    elif len(given) > MOST_ROUTES:
        routes.faults.append(Fault(f"has {len(given)} routes; {MOST_ROUTES} are allowed", place))
    else:
        routes.read(given)
    return routes


class RouteReader:
    """The routes of one component.

    Attributes:
        faults: errors in them.
        head: the name of the filter that follows them.
        declared: this filter, once the routes are read.
    """

    def __init__(self, name: str, error: Any, place: str) -> None:
        """None yet; see `routes_of`."""
        self.faults: list[Fault] = []
        self.head = f"{name} routes"
        self.declared: tuple[Declaration, ...] = ()
        self._name, self._error, self._place = name, error, place
        self._conditions: list[str] = []
        self._targets: list[Any] = []
        self._places: list[str] = []
        self._fan_out: list[int] = []
        self._warnings: list[Fault] = []
        self._complete = True

    def read(self, given: Sequence[Any]) -> None:
        """Read them, and declare what they need."""
        for number, one in enumerate(given):
            place = child_location(self._place, f"{self._place}.{number}", number)
            if has_unread(one):
                self._complete = False
            if isinstance(one, Mapping):
                self._read_one(one, place, number, is_last=number == len(given) - 1)
            else:
                text = f"must be a route like {_FORM}, since others here are, not {abbreviate(one)}"
                self.faults.append(Fault(text, place))
        right = self._complete and not self.faults
        options: dict[str, Any] = {"conditions": self._conditions}
        if {*self._fan_out} - {1}:
            options["fan_out"] = self._fan_out
        self.declared = (
            Declaration(
                kind="filter",
                name=self.head,
                component="Route",
                options=options if right else None,
                output_to=tuple(self._targets),
                error=self._error,
                place=self._place,
                options_place=self._place,
                target_at=tuple(self._places),
                warnings=tuple(self._warnings) if right else (),
            ),
        )

    def _read_one(self, route: Mapping[str, Any], place: str, number: int, *, is_last: bool) -> None:
        for key in route:
            if key not in ROUTE_KEYS:
                hint = did_you_mean(str(key), ROUTE_KEYS) or f" (it has {', '.join(ROUTE_KEYS)})"
                self._fault(f"a route has no key {key!r}{hint}", place, key)
        strange = route.keys() - set(ROUTE_KEYS)  # one of which is perhaps what is missing
        for key, other in (("when", "to"), ("to", "when")):
            if other in route and key not in route and not strange:
                self._fault(f"needs {key!r} besides {other!r}: {_FORM}, or {{else: NAME}}", place)
        if not route:
            self._fault(f"is empty: write {_FORM}", place)
        if "when" in route and self._condition(route["when"], place) and "to" in route:
            self._target(route["to"], place, "to")
        if "else" in route:
            if not is_last:
                self._fault("takes all messages that are left, so it must come last", place, "else")
            elif not number and "when" not in route:
                self._fault("needs a route before it; without any, `output_to` is a name", place, "else")
            self._unreachable("True", place, "else", "all other messages")
            self._target(route["else"], place, "else")

    def _condition(self, text: Any, place: str) -> bool:
        """Check a condition, and keep it. Whether it is one."""
        if has_unread(text):
            return False
        if not isinstance(text, str):
            hint = "; for all other messages, write {else: NAME} at the end" if text is True else ""
            self._fault(f"must be a condition in quotes, not {abbreviate(text)}{hint}", place, "when")
            return False
        try:
            Condition(text)
        except OptionError as error:
            at = child_location(place, f"{place}.when", "when")
            self.faults += [one.under(at) for one in error.faults]
            return False
        self._unreachable(text, place, "when", repr(text))
        self._conditions.append(text)
        return True

    def _unreachable(self, text: str, place: str, key: str, said: str) -> None:
        if why := never_holds(text, self._conditions):
            at = child_location(place, f"{place}.{key}", key)
            route = f"no message ever takes the route of {self._name!r} for {said}"
            self._warnings.append(Fault(f"{route}: {why}", at))

    def _target(self, given: Any, place: str, key: str) -> None:
        at = child_location(place, f"{place}.{key}", key)
        targets = [*given] if isinstance(given, (list, tuple)) else [given]
        wrong = not all(isinstance(one, str) or callable(getattr(one, "consume", None)) for one in targets)
        if wrong or not targets:
            hint = "; an output of class Null takes what is to go nowhere" if not given else ""
            self.faults.append(Fault(f"must be a name or a list of names, not {abbreviate(given)}{hint}", at))
            return
        if any(map(has_unread, targets)):
            return
        self._fan_out.append(len(targets))
        self._targets += targets
        several = len(targets) > 1
        self._places += [
            child_location(at, f"{at}.{number}", number) if several else at for number in range(len(targets))
        ]

    def _fault(self, text: str, place: str, *keys: str) -> None:
        at = child_location(place, f"{place}.{'.'.join(keys)}" if keys else place, *keys)
        self.faults.append(Fault(text, at))

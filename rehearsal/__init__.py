"""A stand-in for the service: real HTTP, its live quirks, faults on demand, time that moves.

The way in: ``spec`` and ``quirks`` say what world and how it answers, ``world`` holds it,
``reader`` answers from it, ``gate`` lets faults strike, ``stage`` directs it all and
``server`` puts it on a socket. ``control`` is the same direction over HTTP.
"""

from rehearsal.actions import Actions
from rehearsal.bad_records import BAD_RECORDS
from rehearsal.faults import KINDS, TRANSIENT, Fault
from rehearsal.log import Request
from rehearsal.server import PortUnavailable, RehearsalServer, serve
from rehearsal.spec import Habits, Quirks, WorldSpec

__all__ = [
    "BAD_RECORDS",
    "KINDS",
    "TRANSIENT",
    "Actions",
    "Fault",
    "Habits",
    "PortUnavailable",
    "Quirks",
    "RehearsalServer",
    "Request",
    "WorldSpec",
    "serve",
]

"""A stand-in for the service: real HTTP, its live quirks, faults on demand, time that moves."""

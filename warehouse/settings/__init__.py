"""Settings and the files they name: business hours, holidays, rate card."""

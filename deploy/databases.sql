-- Dagster's own, and one for each workspace of workspaces.toml.
CREATE DATABASE dagster;
CREATE DATABASE hatif_riyadh;
CREATE DATABASE hatif_jeddah;

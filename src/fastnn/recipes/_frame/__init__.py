"""The parts that the recipes stand on: settings, the run folder and its record, the report, data that several share."""

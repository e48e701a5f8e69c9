"""How a run is worked on: partitions, workers' answers, and what decides whether a result still fits."""

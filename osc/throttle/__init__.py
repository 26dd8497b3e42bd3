"""May the engine go on, and if not, why not: the signals, and the gate that workers pass."""

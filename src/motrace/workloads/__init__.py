"""What can be measured: workloads, the process that runs one, and the launcher that starts it."""

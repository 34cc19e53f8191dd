"""Programs and traces with a label: who truly holds the time, by how they were made (never by what motrace says).

``label`` what a label is and how a verdict is graded, ``machines`` the simulator with a planted bottleneck,
``plan`` a loop on paper, ``nsys_export`` and ``kineto`` its traces, ``exports`` and ``traces`` the kinds of those,
``recorded`` real programs, ``profiled`` real profilers, ``kinds`` all of them.
"""

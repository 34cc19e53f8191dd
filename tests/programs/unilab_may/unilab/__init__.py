"""A stand-in for UniLab of May 2026: its names and the order of its calls, none of its code.

That UniLab is on no package index. What stands around it is real: motrixsim and its renderer, rsl_rl's runner
and model, mediapy. It takes no seed and makes spheres fall.
"""

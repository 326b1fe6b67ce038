"""Training: the contestants, one module each with `answer(request)` (see `protocol`), and their comparison (`compare`)."""

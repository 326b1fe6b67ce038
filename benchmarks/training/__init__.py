"""Training: the contestants, one module each with `answer(request)` (see `protocol`), and who compares them."""

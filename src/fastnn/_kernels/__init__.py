"""Compiled kernels: private and unchecked. Call `fastnn.functional`, which checks."""

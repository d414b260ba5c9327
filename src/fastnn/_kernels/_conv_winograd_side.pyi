# Nothing for Python: other kernels reach it through its .pxd file.

# The ways of a convolution and of its gradients; `_conv_ways` chooses.
cdef enum Way:
    PLANES     # tiles over planes unfolded over their width (_conv_planes)
    POINTWISE  # tiles over the image where it lies (_conv_planes)
    TAPS       # sums of shifted planes, unfolded as for tiles (_conv_planes)
    WINOGRAD   # (_conv_winograd, _conv_winograd_weight)
    ONE_PASS   # both gradients of a band of dy at a time (_conv_one_pass)
    FOLD       # gradients of the patches, folded (_conv_input)
    PIXELS     # sums over images laid out channels last (_conv_weight)

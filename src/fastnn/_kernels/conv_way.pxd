# The ways to compute a convolution and its gradients. `_conv_ways` chooses; docs/dev/convolution.md compares them.
cdef enum Way:
    PLANES     # tiles over planes unfolded over their width (_conv_planes)
    POINTWISE  # tiles over the image where it lies (_conv_planes)
    TAPS       # weighted sums of shifted planes, without tiles (_conv_planes)
    DEPTHWISE  # the planes of many channels side by side, in the lanes of vectors (_conv_lanes)
    WINOGRAD   # tiles over transformed images (_conv_winograd, _conv_winograd_weight)
    SPREAD     # tiles over transformed dy, spread over dx (_conv_winograd_input)
    SIDE       # the same two with an image in each lane, for y and dx (_conv_winograd_side)
    ONE_PASS   # a band of dy at a time makes both gradients (_conv_one_pass)
    FOLD       # the gradients of the patches are folded into dx (_conv_input)
    PIXELS     # tiles sum over the pixels of images that lie channels last (_conv_weight)
    TURNED     # PIXELS with the roles of x and dy exchanged (_conv_backward)
    BATCH      # a product for each output pixel, over images side by side (_conv_batch)

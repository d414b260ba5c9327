"""A network as compiled steps: what layers write down, and all that is fused, shared or reordered.

Layers run one by one, plainly. What may be done otherwise, with the same results, is decided here:

- `contract`: what layers and plans promise one another.
- `steps`: the words in which a layer writes down its forward, in its method ``plan(steps)``.
- `inference`: a network in eval mode. Neighbouring layers that have steps are one call of compiled code; a layer
  without any is run by itself between two of these.
- `training`: a training step as one call; `training_steps`: the words for it.
- `fusion`: a network in train mode. A ReLU is done by its neighbour, where that has declared that it can.

A container hands these its tuple of layers, and knows no class of layer.
"""

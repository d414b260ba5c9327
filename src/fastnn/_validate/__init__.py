"""Every rule about arguments, and every message about a broken one: one file for each family of operations.

Each operation has one check here, called by its door in ``functional`` and by its twin in ``reference``. A check
returns what it had to work out (pairs of integers, output sizes), so that nobody works it out a second time. A
message names the argument, says what came and what was expected.

Checks run on every call, so the usual case (a plain array of a supported dtype, an int for a pair) takes the first
branch and the words are put together only when something is wrong.
"""

from fastnn._validate._base import (
    FLOAT32,
    FLOAT64,
    GRADIENTS,
    Array,
    Frame,
    IntPair,
    IntSingle,
    MaybeArray,
    Padding,
    array,
    axis_index,
    choice,
    float_array,
    float_dtype,
    gradient_names,
    integer,
    number,
    pair,
    positive,
    single,
    true_or_false,
)
from fastnn._validate.activation import (
    approximation,
    elementwise,
    elementwise_backward,
    hardtanh_bounds,
    prelu,
    prelu_backward,
    softplus_settings,
)
from fastnn._validate.clip import clip_norm, clip_value, clipped_parameters, finite_norm, gradient_arrays
from fastnn._validate.conv import (
    ConvGeometry,
    col2im,
    conv1d,
    conv1d_backward,
    conv1d_settings,
    conv2d,
    conv2d_backward,
    conv2d_settings,
    conv_channels,
    im2col,
    input_channels,
    patch_settings,
)
from fastnn._validate.conv_transpose import conv_transpose2d, conv_transpose2d_backward, conv_transpose2d_settings
from fastnn._validate.convert import as_array, source
from fastnn._validate.drop import dropout, dropout_backward, probability
from fastnn._validate.embedding import embedding, embedding_backward, index_select, padding_row
from fastnn._validate.gradients import array_names, function_inputs, gradient_count, gradients_of, one_input
from fastnn._validate.init import fans, initialised, modules, rule_applies, rules
from fastnn._validate.join import add, cat, concat_backward
from fastnn._validate.localnorm import (
    local_response_norm,
    local_response_norm_backward,
    local_response_norm_settings,
)
from fastnn._validate.loss import (
    INT64,
    class_losses,
    cross_entropy,
    gradient_of_loss,
    label_values,
    nll_loss,
    reduction,
    smoothing,
)
from fastnn._validate.matmul import linear, linear_backward, matmul
from fastnn._validate.network import (
    IncompatibleKeys,
    attached,
    branches,
    destination,
    hook,
    hook_result,
    input_shape,
    kept,
    known_arguments,
    layer_place,
    layers,
    named_layers,
    no_effect,
    not_an_array,
    only,
    parameters,
    same_kind_of_array,
    state_dict,
    submodule,
    warn_of_bytes,
)
from fastnn._validate.norm import batch_norm, batch_norm_backward, batch_norm_input, batch_norm_settings
from fastnn._validate.optim import (
    Arrays,
    MaybeArrays,
    adagrad_settings,
    adam_settings,
    direction,
    momentum_buffer,
    nadam_settings,
    rmsprop_settings,
    sgd_settings,
    steps_taken,
    updated,
)
from fastnn._validate.optimizer import (
    below_one,
    entry,
    flags,
    for_each,
    fraction,
    functions,
    has_momentum,
    instance,
    metric,
    milestones,
    no_options,
    numbers_for_each,
    one_for_each_group,
    optimizer_state,
    param_group,
    param_groups,
    schedule_state,
    schedule_states,
    schedulers,
    start_factor,
    steps_left,
    total_steps,
    turns,
)
from fastnn._validate.pad import frame, pad2d, pad2d_backward
from fastnn._validate.pair_loss import (
    element_losses,
    huber,
    kl_div,
    kl_reduction,
    pair_loss,
    smooth_l1,
    unit_interval,
    weighted,
)
from fastnn._validate.pool import (
    Windows,
    average_settings,
    pool,
    pool_backward,
    pool_settings,
    positions,
    positions_dtype,
)
from fastnn._validate.resample import (
    Interpolation,
    OutputSize,
    Scale,
    adaptive_backward,
    adaptive_pool,
    adaptive_settings,
    interpolate,
    interpolate_backward,
    interpolation_settings,
    plane_indices,
)
from fastnn._validate.rownorm import (
    channels,
    group_norm,
    group_norm_backward,
    group_norm_input,
    group_norm_settings,
    instance_norm,
    layer_norm,
    layer_norm_backward,
    normalized_shape,
)
from fastnn._validate.shape import flatten, reshape_backward, unflatten, unflattened_size
from fastnn._validate.softmax import softmax, softmax_backward

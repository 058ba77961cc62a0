"""The steps of an LSTM layer as one kernel per pass, written in Triton.

cuDNN starts two or more kernels for each step of a series and trades the state through memory in between; with a state
of 64 cells the starting is nearly all that it does. Series know nothing of one another, so here a program takes some of
them through all of their steps and keeps the weights, h and c to itself. Gates are in torch's order: i, f, g, o.

What a step is fed, and the gradients of that, are (series, steps, 4 H); all arrays are contiguous.
"""

import triton
import triton.language as tl


@triton.jit
def _tanh(x):
    return 2.0 * tl.sigmoid(2.0 * x) - 1.0


@triton.jit(do_not_specialize=["series", "steps"])
def forward_kernel(
    fed, weight, h_first, c_first, hidden, c_last, gates, cells, series, steps,
    H: tl.constexpr, ROWS: tl.constexpr, PRECISION: tl.constexpr, SAVE: tl.constexpr,
):  # fmt: skip
    """Hidden states and the last c of ROWS series; with SAVE the gates and c of each step, for the way back."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    cell = tl.arange(0, H)
    there = (row < series)[:, None]
    transposed = weight + cell[None, :] * H + cell[:, None]  # (from, to) of the gate i
    size = H * H
    w_i, w_f, w_g, w_o = (
        tl.load(transposed), tl.load(transposed + size), tl.load(transposed + 2 * size), tl.load(transposed + 3 * size)
    )  # fmt: skip
    h = tl.load(h_first + row[:, None] * H + cell, mask=there, other=0.0).to(tl.float32)
    c = tl.load(c_first + row[:, None] * H + cell, mask=there, other=0.0).to(tl.float32)
    wide = (row * steps)[:, None] * (4 * H) + cell
    narrow = (row * steps)[:, None] * H + cell
    x_i = tl.load(fed + wide, mask=there, other=0.0)
    x_f = tl.load(fed + wide + H, mask=there, other=0.0)
    x_g = tl.load(fed + wide + 2 * H, mask=there, other=0.0)
    x_o = tl.load(fed + wide + 3 * H, mask=there, other=0.0)
    for step in range(steps):
        # what the next step is fed is on its way while this one is computed
        ahead = there & (step + 1 < steps)
        next_i = tl.load(fed + wide + 4 * H, mask=ahead, other=0.0)
        next_f = tl.load(fed + wide + 5 * H, mask=ahead, other=0.0)
        next_g = tl.load(fed + wide + 6 * H, mask=ahead, other=0.0)
        next_o = tl.load(fed + wide + 7 * H, mask=ahead, other=0.0)
        of_weight = h.to(w_i.dtype)
        i = tl.sigmoid(tl.dot(of_weight, w_i, x_i.to(tl.float32), input_precision=PRECISION))
        f = tl.sigmoid(tl.dot(of_weight, w_f, x_f.to(tl.float32), input_precision=PRECISION))
        g = _tanh(tl.dot(of_weight, w_g, x_g.to(tl.float32), input_precision=PRECISION))
        o = tl.sigmoid(tl.dot(of_weight, w_o, x_o.to(tl.float32), input_precision=PRECISION))
        c = f * c + i * g
        h = o * _tanh(c)
        tl.store(hidden + narrow, h, mask=there)
        if SAVE:
            tl.store(gates + wide, i, mask=there)
            tl.store(gates + wide + H, f, mask=there)
            tl.store(gates + wide + 2 * H, g, mask=there)
            tl.store(gates + wide + 3 * H, o, mask=there)
            tl.store(cells + narrow, c, mask=there)
        wide += 4 * H
        narrow += H
        x_i, x_f, x_g, x_o = next_i, next_f, next_g, next_o
    tl.store(c_last + row[:, None] * H + cell, c, mask=there)


@triton.jit(do_not_specialize=["series", "steps"])
def backward_kernel(
    of_hidden, of_c_last, weight, gates, cells, c_first, of_fed, of_h_first, of_c_first, series, steps,
    H: tl.constexpr, ROWS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Gradients of what each step of ROWS series was fed, and of h and c before the first."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    cell = tl.arange(0, H)
    there = (row < series)[:, None]
    straight = weight + cell[:, None] * H + cell[None, :]  # (to, from) of the gate i
    size = H * H
    w_i, w_f, w_g, w_o = (
        tl.load(straight), tl.load(straight + size), tl.load(straight + 2 * size), tl.load(straight + 3 * size)
    )  # fmt: skip
    dh = tl.zeros((ROWS, H), tl.float32)
    dc = tl.load(of_c_last + row[:, None] * H + cell, mask=there, other=0.0).to(tl.float32)
    first = tl.load(c_first + row[:, None] * H + cell, mask=there, other=0.0).to(tl.float32)
    wide = (row * steps + steps - 1)[:, None] * (4 * H) + cell
    narrow = (row * steps + steps - 1)[:, None] * H + cell
    c = tl.load(cells + narrow, mask=there, other=0.0)
    for back in range(steps):
        is_first = back + 1 == steps
        earlier = tl.load(cells + narrow - H, mask=there & (back + 1 < steps), other=0.0)
        c_before = tl.where(is_first, first, earlier)
        i = tl.load(gates + wide, mask=there, other=0.0).to(tl.float32)
        f = tl.load(gates + wide + H, mask=there, other=0.0).to(tl.float32)
        g = tl.load(gates + wide + 2 * H, mask=there, other=0.0).to(tl.float32)
        o = tl.load(gates + wide + 3 * H, mask=there, other=0.0).to(tl.float32)
        dh += tl.load(of_hidden + narrow, mask=there, other=0.0).to(tl.float32)
        level = _tanh(c)
        dc += dh * o * (1.0 - level * level)
        d_i = dc * g * i * (1.0 - i)
        d_f = dc * c_before * f * (1.0 - f)
        d_g = dc * i * (1.0 - g * g)
        d_o = dh * level * o * (1.0 - o)
        tl.store(of_fed + wide, d_i, mask=there)
        tl.store(of_fed + wide + H, d_f, mask=there)
        tl.store(of_fed + wide + 2 * H, d_g, mask=there)
        tl.store(of_fed + wide + 3 * H, d_o, mask=there)
        # one sum through all four would wait for each product in turn
        from_i = tl.dot(d_i.to(w_i.dtype), w_i, input_precision=PRECISION)
        from_f = tl.dot(d_f.to(w_i.dtype), w_f, input_precision=PRECISION)
        from_g = tl.dot(d_g.to(w_i.dtype), w_g, input_precision=PRECISION)
        from_o = tl.dot(d_o.to(w_i.dtype), w_o, input_precision=PRECISION)
        dh = (from_i + from_f) + (from_g + from_o)
        dc = dc * f
        c = c_before
        wide -= 4 * H
        narrow -= H
    tl.store(of_h_first + row[:, None] * H + cell, dh, mask=there)
    tl.store(of_c_first + row[:, None] * H + cell, dc, mask=there)

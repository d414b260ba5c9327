"""Steps of optimisers in place. All arrays of a step come in one call, and are cut into chunks together.

docs/dev/losses-and-optimisers.md draws rows, columns and chunks.
"""
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport isinf, isnan
from libc.stdlib cimport qsort
from libc.string cimport memcmp

from fastnn._kernels._table cimport allocate, parallel, release, threads, tiles
from fastnn._kernels.fnn cimport (
    FNN_ADAM,
    FNN_CLAMP,
    FNN_RMSPROP,
    FNN_RULES,
    FNN_SCALE,
    FNN_SGD,
    ceil_div,
    fnn_tiles,
)

from numpy import ndarray

SGD, ADAM, RMSPROP, SCALE, CLAMP = FNN_SGD, FNN_ADAM, FNN_RMSPROP, FNN_SCALE, FNN_CLAMP

# How many of its first columns each rule needs; the others may be None.
cdef int[FNN_RULES] NEEDED
NEEDED[FNN_SGD], NEEDED[FNN_ADAM], NEEDED[FNN_RMSPROP], NEEDED[FNN_SCALE], NEEDED[FNN_CLAMP] = 2, 4, 3, 1, 1

cdef enum:
    CHUNK = 16384  # elements
    COLUMNS = 5    # arrays of a rule, at most
    GRADIENT = 1   # the one column that is only read
    FACTORS = 10   # of a rule, at most

cdef struct Chunk:
    Py_ssize_t row, first

cdef struct Span:
    char *start
    char *end
    bint written

cdef struct Job:
    fnn_tiles *t
    int rule
    double c[FACTORS]
    Py_buffer **buffers  # COLUMNS for each row; NULL where the row has no array in that column
    Chunk *chunks
    double *sums         # the sum of each chunk, for power_sum


cdef void *part(const Job *job, const Chunk *chunk, Py_ssize_t column, Py_ssize_t *n) noexcept nogil:
    """The address of a chunk in a column, or NULL if the column is missing; n becomes its number of elements."""
    cdef const Py_buffer *buffer = job.buffers[chunk.row * COLUMNS + column]
    if buffer == NULL:
        return NULL
    n[0] = min(<Py_ssize_t> CHUNK, buffer.len // buffer.itemsize - chunk.first)
    return <char *> buffer.buf + chunk.first * buffer.itemsize


cdef void update_chunk(void *job_, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Job *job = <const Job *> job_
    cdef void *arrays[COLUMNS]
    cdef Py_ssize_t column, n = 0
    for column in range(COLUMNS):
        arrays[column] = part(job, &job.chunks[chunk], column, &n)
    job.t.rules[job.rule](arrays, n, job.c)


cdef void sum_chunk(void *job_, Py_ssize_t chunk, int slot) noexcept nogil:
    cdef const Job *job = <const Job *> job_
    cdef Py_ssize_t n = 0
    cdef void *x = part(job, &job.chunks[chunk], 0, &n)
    job.sums[chunk] = job.t.power_sum(x, n, job.c[0])


cdef int by_start(const void *a, const void *b) noexcept nogil:
    cdef char *first = (<const Span *> a).start
    cdef char *second = (<const Span *> b).start
    return (first > second) - (first < second)


cdef class Rows:
    """Arrays by columns and rows, whose buffers it holds while it lives. A column is an argument of the rule."""

    cdef Py_ssize_t rows, held, elements, chunks
    cdef Py_buffer *views  # the buffers that are held
    cdef Py_buffer **at    # pointers to them, by row and column
    cdef Chunk *cuts
    cdef int written       # a bit for each column that is written to

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.held):
            PyBuffer_Release(&self.views[i])
        release(self.views)
        release(self.cuts)

    cdef bint take(self, tuple columns, int needed, int written) except -1:
        """Hold the arrays of `columns`, and return whether they are plain.

        A column is an array, or a list of arrays, all of one length. Columns after the first `needed` may be None.
        Plain arrays are ndarrays of one dtype, and of one shape in a row. They are contiguous and aligned, writable
        where `written` says so, and apart in memory.
        """
        cdef Py_ssize_t i, j
        cdef tuple column
        cdef bint many = type(columns[0]) is list
        self.rows, self.written = len(<list> columns[0]) if many else 1, written
        self.views = <Py_buffer *> reserve(self.rows * COLUMNS * (sizeof(Py_buffer) + sizeof(void *)))
        self.at = <Py_buffer **> (self.views + self.rows * COLUMNS)
        for i in range(self.rows * COLUMNS):
            self.at[i] = NULL
        for j in range(len(columns)):
            if columns[j] is None and j >= needed:
                continue
            if (type(columns[j]) is list) != many:
                return False
            column = tuple(<list> columns[j]) if many else (columns[j],)
            if len(column) != self.rows:
                return False
            for i in range(self.rows):
                if not self.hold(column[i], i, j):
                    return False
        return written == 0 or self.apart()

    cdef bint hold(self, object array, Py_ssize_t row, Py_ssize_t column) except -1:
        cdef Py_buffer *view = &self.views[self.held]
        cdef const Py_buffer *first = self.at[row * COLUMNS]
        if type(array) is not ndarray:
            return False
        try:
            PyObject_GetBuffer(array, view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS
                               | (PyBUF_WRITABLE if self.written >> column & 1 else 0))
        except (BufferError, ValueError):
            return False
        self.held += 1
        self.at[row * COLUMNS + column] = view
        if view.format[0] not in (c"f", c"d") or view.format[1] != 0 or view.format[0] != self.views[0].format[0]:
            return False
        if <size_t> view.buf % <size_t> view.itemsize != 0:
            return False
        if first == NULL or view.ndim == 0:  # without axes there is no shape to compare
            return first == NULL or first.ndim == 0
        return first.ndim == view.ndim and memcmp(first.shape, view.shape, view.ndim * sizeof(Py_ssize_t)) == 0

    cdef bint apart(self) except -1:
        """Whether no array that is written overlaps another array."""
        cdef Py_ssize_t i, n = 0
        cdef Span *spans = <Span *> reserve(self.rows * COLUMNS * sizeof(Span))
        cdef char *read_until = NULL
        cdef char *written_until = NULL
        cdef bint clear = True
        for i in range(self.rows * COLUMNS):
            if self.at[i] != NULL and self.at[i].len > 0:
                spans[n].start = <char *> self.at[i].buf
                spans[n].end = spans[n].start + self.at[i].len
                spans[n].written = self.written >> i % COLUMNS & 1
                n += 1
        qsort(spans, n, sizeof(Span), by_start)
        for i in range(n):
            clear &= spans[i].start >= written_until and not (spans[i].written and spans[i].start < read_until)
            if spans[i].written:
                written_until = max(written_until, spans[i].end)
            else:
                read_until = max(read_until, spans[i].end)
        release(spans)
        return clear

    cdef int cut(self, Job *job) except -1:
        """Cut the rows into chunks."""
        cdef Py_ssize_t row, at, n, chunks = 0
        for row in range(self.rows):
            n = self.at[row * COLUMNS].len // self.at[row * COLUMNS].itemsize
            self.elements += n
            self.chunks += ceil_div(n, CHUNK)
        self.cuts = <Chunk *> reserve(self.chunks * sizeof(Chunk))
        for row in range(self.rows):
            n = self.at[row * COLUMNS].len // self.at[row * COLUMNS].itemsize
            for at from 0 <= at < n by CHUNK:
                self.cuts[chunks].row, self.cuts[chunks].first = row, at
                chunks += 1
        job.t = tiles(self.held > 0 and self.views[0].format[0] == c"d")
        job.buffers, job.chunks = self.at, self.cuts
        return 0


cdef void *reserve(Py_ssize_t nbytes) except NULL:
    cdef void *memory = allocate(max(nbytes, <Py_ssize_t> 1))
    if memory == NULL:
        raise MemoryError("no memory for a list of arrays")
    return memory


def update(int rule, tuple factors, tuple columns):
    """Apply a rule of fnn.h with its factors to the rows of these columns.

    The columns are the arrays of the rule in its order: p, g and the state, or x alone for SCALE and CLAMP. A column is
    an array, or a list of arrays, all of one length. Changes all but g. Returns False, and has changed nothing, unless
    all arrays are plain (see `Rows.take`). Each operation of the rule rounds once.
    """
    cdef Rows rows = Rows()
    cdef Job job
    cdef Py_ssize_t i
    cdef double moved
    if not rows.take(columns, NEEDED[rule], ~(1 << GRADIENT)):
        return False
    rows.cut(&job)
    job.rule = rule
    for i in range(len(factors)):
        job.c[i] = factors[i]
    moved = rows.held / max(rows.rows, <Py_ssize_t> 1)
    with nogil:
        parallel(update_chunk, &job, rows.chunks, threads(), 0.25 * moved * rows.elements)
    return True


def plain(int rule, tuple columns):
    """Whether `update` takes these columns."""
    return Rows().take(columns, NEEDED[rule], ~(1 << GRADIENT))


def power_sum(double order, object x):
    """The sum of abs(x)**order, or the largest abs(x) if order is infinite. x is an array or a list of arrays.

    The sum is in double precision: REDUCTION(n), n elements in all. Returns None unless x is plain (see `Rows.take`).
    """
    cdef Rows rows = Rows()
    cdef Job job
    cdef Py_ssize_t chunk
    cdef double total = 0
    if not rows.take((x,), 1, 0):
        return None
    rows.cut(&job)
    job.c[0] = order
    job.sums = <double *> reserve(rows.chunks * sizeof(double))
    with nogil:
        parallel(sum_chunk, &job, rows.chunks, threads(), 0.25 * rows.elements)
    for chunk in range(rows.chunks):
        if not isinf(order):
            total += job.sums[chunk]
        elif not (job.sums[chunk] <= total or isnan(total)):
            total = job.sums[chunk]
    release(job.sums)
    return total

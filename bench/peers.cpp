/* The queue beside others, with the same work for all. Records of 16, 64 and 256 bytes are copied
   in by value from 16 KiB that stay in the first cache; the consumer looks at each.

   hot         bursts into 64 KiB of room that stay in the cache, drained untimed
   burst       50,000 records into a queue that holds them all, without a consumer
   refusal     of a record by a full queue
   streaming   1 to 8 producers flood, one consumer drains; it is lazy: after a batch of fewer than
               32 records it sleeps 20 us. A producer that is refused waits a little, at last gives
               the processor away. One producer and the consumer have a processor each; more share.
   latency     of each accepted call while streaming, net of the timer

   All have the same memory for streaming and hot: room for as many records as fill it, which for
   ours means fewer, for it has a head for each. Ours is called as from another source file, the
   others are templates and inlined. The order of each producer's records and their number are
   checked in every run.

   U is an uncontended compare-and-swap and a copy of the record, in the same run. Repetitions
   (REPEATS=n, 11) of all subjects are interleaved. Tables, then lines for scripts, also in
   peers.tsv beside the program: benchmark<TAB>subject<TAB>median<TAB>min<TAB>max<TAB>unit. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "../vitelemetry.h"

/* As from another source file, which is how programs call it. */
__attribute__((noinline)) bool vit_queue_push(vit_queue *q, const void *record, uint32_t size);

#define VITELEMETRY_IMPLEMENTATION
#include "../vitelemetry.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/prctl.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif
#if __has_include(<concurrentqueue/concurrentqueue.h>)
#include <concurrentqueue/concurrentqueue.h>
#define WITH_MOODYCAMEL
#endif
#if __has_include(<atomic_queue/atomic_queue.h>)
#include <atomic_queue/atomic_queue.h>
#define WITH_ATOMIC_QUEUE
#endif
#if __has_include(<boost/lockfree/queue.hpp>)
#include <boost/lockfree/queue.hpp>
#define WITH_BOOST
#endif
#if __has_include(<ck_ring.h>)
#define false 0 /* it returns false where a pointer is meant, which C++ does not take */
extern "C" {
#include <ck_ring.h>
}
#undef false
#define WITH_CK
#endif
/* Needs -lrte_ring -lrte_eal, but no rte_eal_init: the ring lies in memory of ours. */
#if __has_include(<rte_ring.h>) && !defined(BENCH_NO_RTE)
#include <rte_config.h>
#include <rte_ring.h>
#define WITH_RTE
#endif

namespace
{

constexpr unsigned SOURCE_BYTES = 16384;
constexpr unsigned HOT_BYTES = 65536;
constexpr unsigned HOT_ROUNDS = 200;
constexpr unsigned BURST_RECORDS = 50000;
constexpr unsigned ROOM = 65536; /* records, of the queue for burst and streaming */
constexpr unsigned FULL_ROOM = 4096;
constexpr unsigned REFUSALS = 20000;
constexpr unsigned BATCH = 512;
constexpr unsigned LAZY_BELOW = 32;
constexpr unsigned LAZY_NS = 20000;
constexpr unsigned LATENCY_RECORDS = 300000;
constexpr uint64_t CUT_OFF_NS = 60000000; /* of the producers: some of the others nearly stop */
constexpr uint64_t GIVE_UP_NS = 400000000;
constexpr unsigned PRODUCERS_MAX = 8;

constexpr unsigned sizes[] = { 16, 64, 256 };
constexpr unsigned producers[] = { 1, 2, 4, 8 };

constexpr unsigned stream_records(unsigned size) { return size > 64 ? 400000u : 1000000u; }

template <unsigned N> struct Record {
    static constexpr unsigned COUNT = SOURCE_BYTES / N;
    uint32_t                  producer, number;
    unsigned char             rest[N - 8];
};

/* ---- time ----------------------------------------------------------------------------------- */

uint64_t now_ns()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}

#if defined(__x86_64__)
inline uint64_t now_ticks() { return __rdtsc(); }
inline void     relax() { _mm_pause(); }
#else
inline uint64_t now_ticks() { return now_ns(); }
inline void     relax() {}
#endif

double tick_ns = 1;    /* of one tick */
double timer_ns = 0;   /* of reading the time twice, median */
double step_ns = 1;    /* what the timer can tell apart */
bool   failed = false; /* ours lost a record or broke the order */

void measure_timer()
{
    std::vector<uint64_t> gaps(100001);
    uint64_t              ns = now_ns(), ticks = now_ticks();
    while (now_ns() - ns < 50000000) {}
    tick_ns = double(now_ns() - ns) / double(now_ticks() - ticks);
    for (uint64_t &gap : gaps) {
        uint64_t begin = now_ticks();
        gap = now_ticks() - begin;
    }
    std::sort(gaps.begin(), gaps.end());
    timer_ns = double(gaps[50000]) * tick_ns;
    uint64_t step = 0;
    for (size_t i = 1; i < gaps.size() && step == 0; i++) step = gaps[i] - gaps[i - 1];
    step_ns = double(step) * tick_ns;
}

/* Durations in ticks: exact below 256, then 128 steps for each power of two. */
class Histogram
{
    static constexpr unsigned EXACT = 256, STEPS = 128;
    std::vector<uint32_t>     counts = std::vector<uint32_t>(EXACT + STEPS * 56);
    uint64_t                  total = 0, greatest = 0;

    static unsigned index(uint64_t ticks)
    {
        if (ticks < EXACT) return unsigned(ticks);
        unsigned shift = 56u - unsigned(__builtin_clzll(ticks));
        return EXACT + (shift - 1) * STEPS + unsigned(ticks >> shift) - STEPS;
    }
    static double middle(unsigned i)
    {
        if (i < EXACT) return i;
        unsigned shift = (i - EXACT) / STEPS + 1;
        return (double((i - EXACT) % STEPS + STEPS) + 0.5) * double(uint64_t(1) << shift);
    }

  public:
    void add(uint64_t ticks)
    {
        counts[index(ticks)]++;
        total++;
        if (ticks > greatest) greatest = ticks;
    }
    void add(const Histogram &other)
    {
        for (size_t i = 0; i < counts.size(); i++) counts[i] += other.counts[i];
        total += other.total;
        greatest = std::max(greatest, other.greatest);
    }
    /* ns, net of the timer. */
    double at(double share) const
    {
        uint64_t wanted = uint64_t(share * double(total)), seen = 0;
        double   ticks = double(greatest);
        for (unsigned i = 0; i < counts.size() && share < 1; i++)
            if ((seen += counts[i]) > wanted) {
                ticks = middle(i);
                break;
            }
        return std::max(0.0, ticks * tick_ns - timer_ns);
    }
};

/* ---- the queues: each has name, Producer (what a thread has of its own), push, drain -------- */

/* 64-byte aligned memory whose pages are there. */
class Memory
{
    void *memory;

  public:
    explicit Memory(size_t bytes) : memory(aligned_alloc(64, (bytes + 63) / 64 * 64))
    {
        if (!memory) abort();
        memset(memory, 0, bytes);
    }
    ~Memory() { free(memory); }
    Memory(const Memory &) = delete;
    Memory &operator=(const Memory &) = delete;
    void   *get() const { return memory; }
};

struct Nothing {
    template <class Q> explicit Nothing(Q &) {}
};

/* What most have in common. grow: push, if need be with new memory. */
template <class Self, unsigned N> struct Common {
    using Record = ::Record<N>;
    using Producer = Nothing;
    static constexpr bool unbounded = false;
    bool grow(Producer &p, const Record &r) { return static_cast<Self *>(this)->push(p, r); }
    /* For those that give one record at a time. */
    template <class F> size_t drain(F look, size_t most)
    {
        Record record;
        size_t n = 0;
        for (; n < most && static_cast<Self *>(this)->pop(record); n++) look(record);
        return n;
    }
};

template <unsigned N> class Ours : public Common<Ours<N>, N>
{
    size_t     bytes;
    Memory     memory;
    vit_queue *queue;

  public:
    using typename Common<Ours, N>::Record;
    static const char *name() { return "vitelemetry"; }
    /* ample: it has to hold that many records; else it gets the memory that they fill. */
    Ours(unsigned records, bool ample)
        : bytes(vit_queue_bytes(size_t(records) * N * (ample ? 2 : 1))), memory(bytes),
          queue(vit_queue_init(memory.get(), bytes))
    {
    }
    bool push(Nothing &, const Record &r) { return vit_queue_push(queue, &r, N); }
    template <class F> size_t drain(F look, size_t most)
    {
        auto one = [](const void *record, uint32_t, void *user) {
            (*static_cast<F *>(user))(*static_cast<const Record *>(record));
            return true;
        };
        return vit_queue_drain(queue, one, &look, most);
    }
};

/* The bounded queue of Dmitry Vyukov, many producers and many consumers. */
template <unsigned N> class Vyukov : public Common<Vyukov<N>, N>
{
    using typename Common<Vyukov, N>::Record;
    struct Cell {
        std::atomic<size_t> sequence;
        Record              record;
    };
    Memory memory;
    Cell  *cells;
    size_t mask;
    alignas(64) std::atomic<size_t> head{ 0 };
    alignas(64) std::atomic<size_t> tail{ 0 };

    /* The cell that is ahead of place by `ahead` and taken, or null. */
    Cell *take(std::atomic<size_t> &place, size_t ahead, size_t &at)
    {
        at = place.load(std::memory_order_relaxed);
        for (;;) {
            Cell    *cell = &cells[at & mask];
            size_t   sequence = cell->sequence.load(std::memory_order_acquire);
            intptr_t off = intptr_t(sequence) - intptr_t(at + ahead);
            if (off < 0) return nullptr;
            if (off > 0) at = place.load(std::memory_order_relaxed);
            else if (place.compare_exchange_weak(at, at + 1, std::memory_order_relaxed))
                return cell;
        }
    }

  public:
    static const char *name() { return "Vyukov bounded MPMC"; }
    Vyukov(unsigned records, bool)
        : memory(records * sizeof(Cell)), cells(static_cast<Cell *>(memory.get())),
          mask(records - 1)
    {
        for (size_t i = 0; i < records; i++) new (&cells[i].sequence) std::atomic<size_t>(i);
    }
    bool push(Nothing &, const Record &r)
    {
        size_t at;
        Cell  *cell = take(tail, 0, at);
        if (!cell) return false;
        cell->record = r;
        cell->sequence.store(at + 1, std::memory_order_release);
        return true;
    }
    bool pop(Record &r)
    {
        size_t at;
        Cell  *cell = take(head, 1, at);
        if (!cell) return false;
        r = cell->record;
        cell->sequence.store(at + mask + 1, std::memory_order_release);
        return true;
    }
};

template <unsigned N> class Mutex : public Common<Mutex<N>, N>
{
    using typename Common<Mutex, N>::Record;
    static constexpr size_t SOME = 64;
    Memory                  memory;
    Record                 *records;
    size_t                  mask;
    pthread_mutex_t         lock = PTHREAD_MUTEX_INITIALIZER;
    size_t                  head = 0, tail = 0;

  public:
    static const char *name() { return "mutex + ring"; }
    Mutex(unsigned count, bool)
        : memory(count * sizeof(Record)), records(static_cast<Record *>(memory.get())),
          mask(count - 1)
    {
    }
    bool push(Nothing &, const Record &r)
    {
        pthread_mutex_lock(&lock);
        bool room = tail - head <= mask;
        if (room) records[tail++ & mask] = r;
        pthread_mutex_unlock(&lock);
        return room;
    }
    template <class F> size_t drain(F look, size_t most)
    {
        Record some[SOME];
        size_t n = 0, got;
        do {
            pthread_mutex_lock(&lock);
            got = std::min({ tail - head, SOME, most - n });
            for (size_t i = 0; i < got; i++) some[i] = records[head++ & mask];
            pthread_mutex_unlock(&lock);
            for (size_t i = 0; i < got; i++) look(some[i]);
            n += got;
        } while (got == SOME && n < most);
        return n;
    }
};

#ifdef WITH_MOODYCAMEL
/* Explicit producers never give blocks back, so that one may end up with all of them: for more than
   one producer a refused record goes in with new memory. It is never full there. */
template <unsigned N, bool TOKENS> class Moodycamel : public Common<Moodycamel<N, TOKENS>, N>
{
    using typename Common<Moodycamel, N>::Record;
    using Queue = moodycamel::ConcurrentQueue<Record>;
    Queue                     queue;
    moodycamel::ConsumerToken consumer{ queue };

  public:
    struct Producer {
        moodycamel::ProducerToken token;
        explicit Producer(Moodycamel &q) : token(q.queue) {}
    };
    static constexpr bool unbounded = true;
    static const char    *name() { return TOKENS ? "moodycamel, tokens" : "moodycamel"; }
    Moodycamel(unsigned records, bool ample) : queue(size_t(records) * (ample ? 2 : 1)) {}
    bool push(Producer &p, const Record &r)
    {
        if constexpr (TOKENS) return queue.try_enqueue(p.token, r);
        else return queue.try_enqueue(r);
    }
    bool grow(Producer &p, const Record &r)
    {
        if constexpr (TOKENS) return queue.enqueue(p.token, r);
        else return queue.enqueue(r);
    }
    template <class F> size_t drain(F look, size_t most)
    {
        Record some[64];
        size_t n = 0, got;
        do {
            if constexpr (TOKENS)
                got = queue.try_dequeue_bulk(consumer, some, std::min<size_t>(64, most - n));
            else got = queue.try_dequeue_bulk(some, std::min<size_t>(64, most - n));
            for (size_t i = 0; i < got; i++) look(some[i]);
            n += got;
        } while (got > 0 && n < most);
        return n;
    }
};
template <unsigned N> using MoodycamelTokens = Moodycamel<N, true>;
template <unsigned N> using MoodycamelPlain = Moodycamel<N, false>;
#endif

#ifdef WITH_ATOMIC_QUEUE
template <unsigned N> class AtomicQueue : public Common<AtomicQueue<N>, N>
{
    using typename Common<AtomicQueue, N>::Record;
    atomic_queue::AtomicQueueB2<Record> queue;

  public:
    static const char *name() { return "atomic_queue B2"; }
    AtomicQueue(unsigned records, bool) : queue(records) {}
    bool push(Nothing &, const Record &r) { return queue.try_push(r); }
    bool pop(Record &r) { return queue.try_pop(r); }
};
#endif

#ifdef WITH_BOOST
template <unsigned N> class Boost : public Common<Boost<N>, N>
{
    using typename Common<Boost, N>::Record;
    boost::lockfree::queue<Record, boost::lockfree::fixed_sized<true>> queue;

  public:
    static const char *name() { return "boost lockfree::queue"; }
    Boost(unsigned records, bool) : queue(std::min(records, 65534u)) {}
    bool push(Nothing &, const Record &r) { return queue.bounded_push(r); }
    bool pop(Record &r) { return queue.pop(r); }
};
#endif

#ifdef WITH_CK
/* What CK_RING_PROTOTYPE's functions for MPSC call; that macro itself is C only. */
template <unsigned N> class Ck : public Common<Ck<N>, N>
{
    using typename Common<Ck, N>::Record;
    Memory  memory;
    ck_ring ring;

  public:
    static const char *name() { return "ck_ring MPSC"; }
    Ck(unsigned records, bool) : memory(records * sizeof(Record)) { ck_ring_init(&ring, records); }
    bool push(Nothing &, const Record &r)
    {
        return _ck_ring_enqueue_mp(&ring, memory.get(), &r, sizeof r, nullptr);
    }
    bool pop(Record &r) { return _ck_ring_dequeue_sc(&ring, memory.get(), &r, sizeof r); }
};
#endif

#ifdef WITH_RTE
template <unsigned N> class Rte : public Common<Rte<N>, N>
{
    using typename Common<Rte, N>::Record;
    Memory    memory;
    rte_ring *ring;

  public:
    static const char *name() { return "rte_ring MP/SC"; }
    Rte(unsigned records, bool)
        : memory(size_t(rte_ring_get_memsize_elem(N, records))),
          ring(static_cast<rte_ring *>(memory.get()))
    {
        if (rte_ring_init(ring, "bench", records, RING_F_SC_DEQ) != 0) abort();
    }
    bool push(Nothing &, const Record &r)
    {
        return rte_ring_mp_enqueue_elem(ring, const_cast<Record *>(&r), N) == 0;
    }
    template <class F> size_t drain(F look, size_t most)
    {
        Record some[64];
        size_t n = 0, got;
        do {
            got = rte_ring_sc_dequeue_burst_elem(ring, some, N,
                                                 unsigned(std::min<size_t>(64, most - n)), nullptr);
            for (size_t i = 0; i < got; i++) look(some[i]);
            n += got;
        } while (got > 0 && n < most);
        return n;
    }
};
#endif

/* ---- one thread ----------------------------------------------------------------------------- */

template <unsigned N> class Source
{
    alignas(64) Record<N> records[Record<N>::COUNT];

  public:
    explicit Source(uint32_t producer)
    {
        memset(static_cast<void *>(records), 0x5a, sizeof records);
        for (uint32_t i = 0; i < Record<N>::COUNT; i++) {
            records[i].producer = producer;
            records[i].number = i;
        }
    }
    const Record<N> &operator[](unsigned i) const { return records[i % Record<N>::COUNT]; }
};

template <class Q> void empty(Q &queue)
{
    while (queue.drain([](const auto &) {}, 100000) > 0) {}
}

/* ns for `count` records. grown: refused, but went in with new memory; refused: nor so. */
template <class Q, unsigned N>
double push_all(Q &queue, typename Q::Producer &p, const Source<N> &source, unsigned count,
                unsigned &grown, unsigned &refused)
{
    uint64_t begin = now_ticks();
    for (unsigned i = 0; i < count; i++)
        if (__builtin_expect(!queue.push(p, source[i]), 0))
            ++(queue.grow(p, source[i]) ? grown : refused);
    return double(now_ticks() - begin) * tick_ns - timer_ns;
}

template <template <unsigned> class Q, unsigned N> double measure_hot()
{
    Q<N>                    queue(HOT_BYTES / N, false);
    typename Q<N>::Producer p(queue);
    Source<N>               source(0);
    unsigned                burst = N <= 64 ? 500 : 100, grown = 0, refused = 0;
    double                  ns = 0;
    for (unsigned r = 0; r < HOT_ROUNDS + 10; r++) {
        double one = push_all(queue, p, source, burst, grown, refused);
        if (r >= 10) ns += one;
        empty(queue);
    }
    return refused ? -1 : ns / (burst * HOT_ROUNDS);
}

template <template <unsigned> class Q, unsigned N> double measure_burst()
{
    Q<N>                    queue(ROOM, true);
    typename Q<N>::Producer p(queue);
    Source<N>               source(0);
    unsigned                grown = 0, refused = 0;
    push_all(queue, p, source, BURST_RECORDS, grown, refused); /* its memory is there */
    empty(queue);
    double ns = push_all(queue, p, source, BURST_RECORDS, grown, refused);
    return refused ? -1 : ns / BURST_RECORDS;
}

template <template <unsigned> class Q, unsigned N> double measure_refusal()
{
    Q<N>                    queue(FULL_ROOM, false);
    typename Q<N>::Producer p(queue);
    Source<N>               source(0);
    unsigned                refused = 0;
    for (unsigned i = 0; queue.push(p, source[i]) && i < 16 * FULL_ROOM; i++) {}
    uint64_t begin = now_ticks();
    for (unsigned i = 0; i < REFUSALS; i++) refused += !queue.push(p, source[i]);
    double ns = double(now_ticks() - begin) * tick_ns;
    return refused == REFUSALS ? ns / REFUSALS : -1;
}

template <unsigned N> double measure_u()
{
    alignas(64) static unsigned char target[N];
    alignas(64) static uint32_t      word;
    Source<N>                        source(0);
    uint64_t                         begin = now_ticks();
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t old = word;
        __atomic_compare_exchange_n(&word, &old, old + 1u, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST);
        memcpy(target, &source[i], N);
        __asm__ volatile("" : : "r"(target) : "memory");
    }
    return double(now_ticks() - begin) * tick_ns / 100000;
}

/* ---- streaming ------------------------------------------------------------------------------ */

void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

struct Order {
    uint64_t broken = 0, lost = 0;
};

/* One run: its threads, and what they found. */
template <template <unsigned> class Queue, unsigned N> class Stream
{
    using Q = Queue<N>;
    Q                      queue{ ROOM, false };
    unsigned               count;
    uint64_t               records;
    bool                   timed;
    std::vector<Histogram> histograms;
    alignas(64) std::atomic<unsigned> ready{ 0 };
    std::atomic<bool> go{ false }, stop{ false };
    alignas(64) std::atomic<unsigned> done{ 0 };
    std::atomic<uint64_t> pushed{ 0 };
    uint32_t              expected[PRODUCERS_MAX] = {};

    /* Refused: the queue is full. False: stop. */
    bool wait(unsigned &tries)
    {
        if (++tries > 4) sched_yield();
        else
            for (int i = 0; i < 64; i++) relax();
        return !stop.load(std::memory_order_relaxed);
    }

    bool put(typename Q::Producer &p, const Record<N> &r)
    {
        if (queue.push(p, r)) return true;
        return Q::unbounded && count > 1 && queue.grow(p, r);
    }

    bool put_timed(typename Q::Producer &p, const Record<N> &r, Histogram &h)
    {
        uint64_t begin = now_ticks();
        bool     accepted = put(p, r);
        uint64_t end = now_ticks();
        if (accepted) h.add(end - begin);
        return accepted;
    }

    void produce(unsigned id)
    {
        auto                 source = std::make_unique<Source<N>>(id);
        typename Q::Producer p(queue);
        uint64_t             quota = records / count, n = 0;
        if (count == 1) pin(0);
        ready.fetch_add(1);
        while (!go.load(std::memory_order_acquire)) sched_yield();
        while (n < quota && !stop.load(std::memory_order_relaxed)) {
            unsigned         tries = 0;
            const Record<N> &r = (*source)[unsigned(n)];
            bool             accepted = false;
            do accepted = timed ? put_timed(p, r, histograms[id]) : put(p, r);
            while (!accepted && wait(tries));
            n += accepted;
        }
        pushed.fetch_add(n);
        done.fetch_add(1, std::memory_order_release);
    }

    /* Returns ns until all was drained. */
    uint64_t consume(uint64_t &drained, Order &order)
    {
        const timespec lazy = { 0, LAZY_NS };
        uint64_t       begin = now_ns(), passed = 0, broken = 0;
        auto           look = [this, &broken](const Record<N> &r) {
            uint32_t &next = expected[r.producer % PRODUCERS_MAX];
            broken += r.number != next;
            next = (r.number + 1) % Record<N>::COUNT;
        };
        for (;;) {
            bool   over = done.load(std::memory_order_acquire) == count;
            size_t got = queue.drain(look, BATCH);
            drained += got;
            passed = now_ns() - begin;
            if (over && drained == pushed.load()) break;
            if (passed > CUT_OFF_NS) stop = true;
            if (passed > GIVE_UP_NS) break;
            if (got < LAZY_BELOW) nanosleep(&lazy, nullptr);
        }
        order.broken += broken > 0;
        order.lost += drained != pushed.load();
        return passed;
    }

  public:
    Stream(unsigned producers_, uint64_t records_, bool timed_)
        : count(producers_), records(records_), timed(timed_), histograms(timed_ ? producers_ : 0)
    {
    }

    /* Millions of records a second. */
    double run(Order &order)
    {
        std::vector<std::thread> threads;
        cpu_set_t                all;
        uint64_t                 drained = 0;
        (void)sched_getaffinity(0, sizeof all, &all);
        for (unsigned i = 0; i < count; i++) threads.emplace_back([this, i] { produce(i); });
        if (count == 1) pin(1);
        while (ready != count) sched_yield();
        go.store(true, std::memory_order_release);
        uint64_t ns = consume(drained, order);
        stop = true;
        for (std::thread &t : threads) t.join();
        (void)sched_setaffinity(0, sizeof all, &all);
        return double(drained) * 1000 / double(ns);
    }

    Histogram latency() const
    {
        Histogram sum;
        for (const Histogram &h : histograms) sum.add(h);
        return sum;
    }
};

template <template <unsigned> class Q, unsigned N>
double measure_stream(unsigned count, Order &order)
{
    return std::make_unique<Stream<Q, N>>(count, stream_records(N), false)->run(order);
}

constexpr double      shares[] = { 0.5, 0.9, 0.99, 0.999, 0.9999, 1 };
constexpr const char *share_names[] = { "p50", "p90", "p99", "p99.9", "p99.99", "max" };

template <template <unsigned> class Q>
std::vector<double> measure_latency(unsigned count, Order &order)
{
    auto stream = std::make_unique<Stream<Q, 64>>(count, LATENCY_RECORDS, true);
    stream->run(order);
    Histogram           h = stream->latency();
    std::vector<double> result;
    for (double share : shares) result.push_back(h.at(share));
    return result;
}

/* ---- subjects, groups and tables ------------------------------------------------------------ */

struct Subject {
    const char *name;
    double (*hot[3])();
    double (*burst[3])();
    double (*refusal[3])();
    double (*stream[3])(unsigned, Order &);
    std::vector<double> (*latency)(unsigned, Order &);
    Order order = {};
};

template <template <unsigned> class Q> Subject subject()
{
    return { Q<64>::name(),
             { measure_hot<Q, 16>, measure_hot<Q, 64>, measure_hot<Q, 256> },
             { measure_burst<Q, 16>, measure_burst<Q, 64>, measure_burst<Q, 256> },
             { measure_refusal<Q, 16>, measure_refusal<Q, 64>, measure_refusal<Q, 256> },
             { measure_stream<Q, 16>, measure_stream<Q, 64>, measure_stream<Q, 256> },
             measure_latency<Q> };
}

std::vector<Subject> all_subjects()
{
    std::vector<Subject> all;
    all.push_back(subject<Ours>());
#ifdef WITH_MOODYCAMEL
    all.push_back(subject<MoodycamelTokens>());
    all.push_back(subject<MoodycamelPlain>());
#else
    puts("left out: moodycamel::ConcurrentQueue (libconcurrentqueue-dev is not installed)");
#endif
#ifdef WITH_ATOMIC_QUEUE
    all.push_back(subject<AtomicQueue>());
#else
    puts("left out: atomic_queue (libatomic-queue-dev is not installed)");
#endif
#ifdef WITH_BOOST
    all.push_back(subject<Boost>());
#else
    puts("left out: boost::lockfree::queue (libboost-dev is not installed)");
#endif
#ifdef WITH_CK
    all.push_back(subject<Ck>());
#else
    puts("left out: ck_ring (libck-dev is not installed)");
#endif
#ifdef WITH_RTE
    all.push_back(subject<Rte>());
#else
    puts("left out: rte_ring (libdpdk-dev is not installed, or cannot be linked here)");
#endif
    all.push_back(subject<Vyukov>());
    all.push_back(subject<Mutex>());
    return all;
}

struct Series {
    std::vector<double> values;
    double              median() const { return values[values.size() / 2]; }
    double              min() const { return values.front(); }
    double              max() const { return values.back(); }
};

/* A table: subjects down, columns across. */
struct Group {
    std::string              title;
    const char              *unit;
    bool                     more_is_better;
    std::vector<std::string> columns, benchmarks;
    std::vector<Series>      series; /* [subject * columns + column] */

    Series &at(size_t subject, size_t column) { return series[subject * columns.size() + column]; }
    void    add(const std::string &column, const std::string &benchmark, size_t subjects)
    {
        columns.push_back(column);
        benchmarks.push_back(benchmark);
        series.resize(subjects * columns.size());
    }
};

std::string bytes_name(unsigned size) { return std::to_string(size) + " B"; }

struct Plan {
    std::vector<Subject> subjects;
    Group                u, hot, burst, refusal;
    std::vector<Group>   streams, latencies; /* by size; by number of producers */

    Plan() : subjects(all_subjects())
    {
        size_t n = subjects.size();
        u = { "U: compare-and-swap and copy", "ns", false, {}, {}, {} };
        hot = { "hot", "ns", false, {}, {}, {} };
        burst = { "burst", "ns", false, {}, {}, {} };
        refusal = { "refusal", "ns", false, {}, {}, {} };
        for (unsigned size : sizes) {
            u.add(bytes_name(size), "U " + bytes_name(size), 1);
            for (Group *g : { &hot, &burst, &refusal })
                g->add(bytes_name(size), g->title + " " + bytes_name(size), n);
            Group s = { "streaming " + bytes_name(size), "M/s", true, {}, {}, {} };
            for (unsigned p : producers)
                s.add(std::to_string(p) + "P", s.title + " " + std::to_string(p) + "P", n);
            streams.push_back(s);
        }
        for (unsigned p : producers) {
            Group l = { "latency 64 B " + std::to_string(p) + "P", "ns", false, {}, {}, {} };
            for (const char *share : share_names) l.add(share, l.title + " " + share, n);
            latencies.push_back(l);
        }
    }

    void measure_single(size_t s)
    {
        for (size_t i = 0; i < 3; i++) {
            hot.at(s, i).values.push_back(subjects[s].hot[i]());
            burst.at(s, i).values.push_back(subjects[s].burst[i]());
            refusal.at(s, i).values.push_back(subjects[s].refusal[i]());
        }
    }

    void measure_threads(size_t s, size_t p)
    {
        Subject &subject = subjects[s];
        for (size_t i = 0; i < 3; i++)
            streams[i].at(s, p).values.push_back(subject.stream[i](producers[p], subject.order));
        std::vector<double> values = subject.latency(producers[p], subject.order);
        for (size_t i = 0; i < values.size(); i++)
            latencies[p].at(s, i).values.push_back(values[i]);
    }

    void repeat(size_t turn)
    {
        size_t n = subjects.size();
        u.at(0, 0).values.push_back(measure_u<16>());
        u.at(0, 1).values.push_back(measure_u<64>());
        u.at(0, 2).values.push_back(measure_u<256>());
        for (size_t i = 0; i < n; i++) measure_single((i + turn) % n);
        for (size_t p = 0; p < 4; p++)
            for (size_t i = 0; i < n; i++) measure_threads((i + turn) % n, p);
    }

    std::vector<Group *> groups()
    {
        std::vector<Group *> all = { &u, &hot, &burst, &refusal };
        for (Group &g : streams) all.push_back(&g);
        for (Group &g : latencies) all.push_back(&g);
        return all;
    }
};

/* Ours to the best other; durations below what the timer can tell apart are as long as that. */
double ratio(Group &g, size_t best, size_t column)
{
    double least = g.columns.size() == std::size(shares) ? step_ns : 0;
    return std::max(g.at(0, column).median(), least) / std::max(g.at(best, column).median(), least);
}

size_t best_peer(Group &g, size_t subjects, size_t column)
{
    size_t best = 1;
    for (size_t s = 2; s < subjects; s++) {
        double a = g.at(s, column).median(), b = g.at(best, column).median();
        if (a >= 0 && (g.more_is_better ? a > b : a < b)) best = s;
    }
    return best;
}

void print_row(const char *name, Group &g, size_t s)
{
    printf("%-26s", name);
    for (size_t c = 0; c < g.columns.size(); c++) {
        const Series &x = g.at(s, c);
        printf(" %9.*f /%8.*f", x.median() < 1000 ? 2 : 0, x.median(), x.min() < 1000 ? 2 : 0,
               x.min());
    }
    puts("");
}

void print_group(Group &g, Group &u, const std::vector<Subject> &subjects)
{
    std::string title = g.title + ", " + g.unit;
    printf("\n%-26s", title.c_str());
    for (const std::string &column : g.columns) printf(" %19s", column.c_str());
    puts("   (median / min)");
    if (&g == &u) return print_row("", g, 0);
    for (size_t s = 0; s < subjects.size(); s++) print_row(subjects[s].name, g, s);
    if (g.columns.size() == 3) {
        printf("%-26s", "  ours in U");
        for (size_t c = 0; c < 3; c++)
            printf(" %17.2f U", g.at(0, c).median() / u.at(0, c).median());
        puts("");
    }
    printf("%-26s", "  ours / best peer");
    for (size_t c = 0; c < g.columns.size(); c++)
        printf(" %19.2f", ratio(g, best_peer(g, subjects.size(), c), c));
    printf("\n%-26s", "  best peer");
    for (size_t c = 0; c < g.columns.size(); c++)
        printf(" %19.19s", subjects[best_peer(g, subjects.size(), c)].name);
    puts("");
}

void print_lines(FILE *out, Plan &plan)
{
    for (Group *g : plan.groups())
        for (size_t c = 0; c < g->columns.size(); c++)
            for (size_t s = 0; s < g->series.size() / g->columns.size(); s++) {
                const Series &x = g->at(s, c);
                fprintf(out, "%s\t%s\t%.3f\t%.3f\t%.3f\t%s\n", g->benchmarks[c].c_str(),
                        g == &plan.u ? "U" : plan.subjects[s].name, x.median(), x.min(), x.max(),
                        g->unit);
            }
}

void print_order(const Subject &s, bool ours)
{
    if (s.order.broken)
        printf("%s: a producer's order broken in %u runs\n", s.name, unsigned(s.order.broken));
    if (s.order.lost)
        printf("%s: not all records came out in %u runs\n", s.name, unsigned(s.order.lost));
    if (ours && (s.order.broken || s.order.lost)) failed = true;
}

void print_all(Plan &plan, const char *program)
{
    for (Group *g : plan.groups())
        for (Series &s : g->series) std::sort(s.values.begin(), s.values.end());
    for (Group *g : plan.groups()) print_group(*g, plan.u, plan.subjects);
    puts("");
    for (const Subject &s : plan.subjects) print_order(s, &s == &plan.subjects[0]);
    for (Group *g : { &plan.hot, &plan.burst, &plan.refusal })
        for (size_t c = 0; c < 3; c++) failed = failed || g->at(0, c).min() < 0;
    if (failed) puts("vitelemetry: refused what it has room for, lost a record, or broke an order");
    puts("");
    print_lines(stdout, plan);
    if (FILE *tsv = fopen((std::string(program) + ".tsv").c_str(), "w")) {
        print_lines(tsv, plan);
        fclose(tsv);
    }
}

} // namespace

int main(int, char **argv)
{
    const char *wish = getenv("REPEATS");
    int         repeats = wish ? atoi(wish) : 11;
    std::thread([] { /* so that the C library takes no short cut for one thread */
                     for (;;) pause();
    })
        .detach();
    prctl(PR_SET_TIMERSLACK, 1UL);
    measure_timer();
    Plan plan;
    printf("timer %.1f ns, taken off, in steps of %.1f ns; %d repetitions; moodycamel grows for 2P "
           "and more\n",
           timer_ns, step_ns, std::max(repeats, 1));
    for (int r = 0; r < std::max(repeats, 1); r++) {
        if (isatty(2)) fprintf(stderr, "\rrepetition %d ", r + 1);
        plan.repeat(size_t(r));
    }
    if (isatty(2)) fprintf(stderr, "\r              \r");
    print_all(plan, argv[0]);
    return failed ? 1 : 0;
}

//! What a decision costs among a thousand deployments: `pick` is the decision, and its place given back;
//! `request` is the decision, the answer's begin, and its end with its tokens. A decision must be under
//! 200 ns on a quiet machine, and allocate nothing; the bench fails if it allocates.
//!
//! `cargo bench --bench policy -- --quick` for figures, `-- --test` to see that each still runs.
#![expect(unsafe_code, reason = "a global allocator that counts")]

use std::{
    alloc::{GlobalAlloc, Layout},
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use criterion::{Criterion, criterion_group, criterion_main};
use outcrop::policy::{
    balance::Balancer,
    budget::RetryBudget,
    group::{CoolDowns, Group, Limits, Member, Retries, Strategy},
    lease::{End, Next},
    retry::Trial,
    standing::Standing,
};

static CALLS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call goes to mimalloc as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { mimalloc::MiMalloc.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MEMBERS: usize = 1_000;
/// Requests under way at any time.
const UNDER_WAY: usize = 64;

fn group(strategy: Strategy) -> Group {
    let members = (0..MEMBERS).map(|at| Member {
        deployment: at,
        weight: 1 + at as u64 % 5,
        order: 1,
        cost: Some(1 + at as u64 % 7),
        limits: Limits { rpm: Some(1 << 30), tpm: Some(1 << 30), ..Limits::default() },
        standing: Arc::new(Standing::new(3 * at)),
        credential: Arc::new(Standing::new(3 * at + 1)),
        endpoint: Arc::new(Standing::new(3 * at + 2)),
        cool_down: CoolDowns { time_ms: 5_000, allowed: None, by_class: [None; 8] },
    });
    Group {
        name: "thousand".to_owned(),
        members: members.collect(),
        strategy,
        retries: Retries { any: 2, by_class: [None; 8] },
        retry_after_ms: 0,
        fallbacks: Vec::new(),
        weighted_failover: false,
    }
}

/// One core with [`UNDER_WAY`] requests: each turn begins one, and ends the oldest.
struct Core {
    groups: Vec<Group>,
    balancer: Balancer,
    random: fastrand::Rng,
    leases: std::collections::VecDeque<outcrop::policy::lease::Lease>,
    requests: u64,
}

impl Core {
    fn new(strategy: Strategy) -> Self {
        let mut core = Self {
            groups: vec![group(strategy)],
            balancer: Balancer::new(0, Arc::new(RetryBudget::new(1))),
            random: fastrand::Rng::with_seed(1),
            leases: std::collections::VecDeque::with_capacity(2 * UNDER_WAY),
            requests: 0,
        };
        (0..UNDER_WAY).for_each(|_| core.begin());
        // Until each has been asked, so that nothing is cold.
        (0..50 * MEMBERS).for_each(|_| core.turn());
        core
    }

    /// A hundred thousand requests in a second: 10 µs each.
    fn now_ms(&self) -> u64 {
        1_000_000 + self.requests / 100
    }

    fn begin(&mut self) {
        self.requests += 1;
        let now_ms = self.now_ms();
        self.balancer.begin(now_ms);
        let mut trial = Trial::new(0, None, 5, true);
        let random = self.random.u64(..);
        if let Next::Try(mut lease) =
            self.balancer.next(1, &self.groups, &mut trial, now_ms, random)
        {
            self.balancer.answered(&self.groups, &mut lease, 20_000, now_ms);
            self.leases.push_back(lease);
        }
    }

    fn turn(&mut self) {
        self.begin();
        let now_ms = self.now_ms();
        if let Some(lease) = self.leases.pop_front() {
            let end = End { tokens: 100, output_tokens: 50, content_us: 10_000 };
            self.balancer.ended(&self.groups, black_box(lease), end, now_ms);
        }
    }
}

/// One request more, which leaves at once.
fn pick(core: &mut Core) {
    core.requests += 1;
    let now_ms = core.now_ms();
    core.balancer.begin(now_ms);
    let mut trial = Trial::new(0, None, 5, true);
    let random = core.random.u64(..);
    if let Next::Try(lease) = core.balancer.next(1, &core.groups, &mut trial, now_ms, random) {
        core.balancer.abandoned(&core.groups, black_box(lease), now_ms);
    }
}

fn decisions(c: &mut Criterion) {
    let mut benches = c.benchmark_group("among 1,000");
    for strategy in Strategy::ALL {
        let mut core = Core::new(strategy);
        let before = CALLS.load(Relaxed);
        (0..10_000).for_each(|_| core.turn());
        (0..10_000).for_each(|_| pick(&mut core));
        let calls = CALLS.load(Relaxed) - before;
        assert_eq!(calls, 0, "{} allocates", strategy.name());
        assert_eq!(core.leases.len(), UNDER_WAY, "each was let in");
        let name = strategy.name();
        benches.bench_function(format!("pick/{name}"), |b| b.iter(|| pick(&mut core)));
        benches.bench_function(format!("request/{name}"), |b| b.iter(|| core.turn()));
    }
}

criterion_group!(benches, decisions);
criterion_main!(benches);

//! Every bound, who imposes it, and what happens when it is hit.
//!
//! A queue, loop, buffer, retry or wait takes its limit from here. Byte counts end in `_BYTES…`,
//! times in `_MS…`.

/// A message head (start line and fields), either side. Ours: RFC 9112 §3 asks for at least 8000 B of
/// target. Hit: 431 to a client; 502 for an answer.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// A request target. Ours; model ids have at most 2,048 characters (AWS), threefold when encoded. Hit: 414.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;
/// Fields of one head. Ours, as hyper and httpd. Hit: 431 to a client; 502 for an answer.
pub const FIELDS_MAX: usize = 100;
/// All chunk extensions of one message together. Ours (RFC 9112 §7.1.1 asks for a bound). Hit: 400 or 502.
pub const CHUNK_EXTENSION_BYTES_MAX: usize = 16 * 1024;
/// A trailer section; it is dropped. Ours. Hit: 400 or 502.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;
/// Interim (1xx) answers skipped before the final one. Ours. Hit: 502.
pub const INTERIM_ANSWERS_MAX: usize = 16;
/// An error of upstream's that is held back to see that it quotes no credential. Ours. Hit: 502.
pub const WITHHELD_BYTES_MAX: usize = 256 * 1024;
/// Request content, unless `general_settings.max_request_size_mb` says otherwise. AWS takes 25,000,000 B
/// for InvokeModel. Hit: 413.
pub const CONTENT_MB_MAX_DEFAULT: u64 = 32;
/// How long the start waits for sources of credentials. Ours. Hit: it serves, and readiness says who has none.
pub const CREDENTIALS_AT_START_MS_MAX: u64 = 5_000;
/// How long a source may take, all that it asks in turn included. Ours. Hit: it is asked again later.
pub const CREDENTIAL_ASK_MS_MAX: u64 = 30_000;
/// How long one HTTP call of a source may take. Ours.
pub const CREDENTIAL_CALL_MS_MAX: u64 = 5_000;
/// What a source may answer. Ours; AWS's are some KB. Hit: the call fails.
pub const CREDENTIAL_ANSWER_BYTES_MAX: usize = 1 << 20;
/// How soon a source that failed is asked again, at first. Ours.
pub const CREDENTIAL_AGAIN_MS_MIN: u64 = 500;
/// … and at last. Ours.
pub const CREDENTIAL_AGAIN_MS_MAX: u64 = 30_000;
/// How often a source is asked whose credential does not end. LiteLLM's.
pub const CREDENTIAL_STATIC_MS: u64 = 600_000;
/// How often readiness is told anew who has no credential. Ours.
pub const CREDENTIAL_TELL_MS: u64 = 500;
/// How long before its end a credential is renewed, at least; a quarter of its life, if that is less. Ours.
pub const RENEWAL_LEAD_MS_MAX: u64 = 600_000;
/// How often a source's task looks whether a core wants another credential. Ours.
pub const CREDENTIAL_LOOK_MS: u64 = 50;
/// Between a client's clock and ours. AWS's. Hit: 403.
pub const SIGNATURE_SKEW_S_MAX: u64 = 300;
/// Values that a client's signature covers. Ours; SDKs sign a dozen. Hit: 403.
pub const CLIENT_SIGNED_FIELDS_MAX: usize = 64;
/// How long a request waits for its deployment's credential to be renewed. Ours. Hit: the refusal counts.
pub const RENEWAL_MS_MAX: u64 = 5_000;
/// How often it looks. Ours.
pub const RENEWAL_LOOK_MS: u64 = 20;
/// AWS's: longest `modelId`. Hit: 404, it is nobody's.
pub const MODEL_ID_BYTES_MAX: usize = 2_048;
/// Forwarded fields that are signed: content-type, host, x-amz-*, x-amzn-bedrock-*. Ours. Hit: 431.
pub const SIGNED_FIELDS_MAX: usize = 32;
/// Room made for request content on a client's word alone; more as it comes. Ours.
pub const CONTENT_RESERVE_BYTES_MAX: usize = 1024 * 1024;
/// Content left unread by an early answer (401, 404, 413, …) that is read and dropped so that the
/// connection lives on. Ours. Hit: the connection closes.
pub const UNREAD_CONTENT_BYTES_MAX: usize = 64 * 1024;
/// Paths that one JSON scanner watches. Ours: they are bits of one word. Hit: does not compile.
pub const JSON_PATHS_MAX: usize = 24;
/// Steps of one such path. Ours; AWS's deepest has 4. Hit: does not compile.
pub const JSON_STEPS_MAX: usize = 6;
/// A key or number of JSON that is looked at. Ours: above the longest that AWS writes. Hit: it is no
/// key or number that we know.
pub const JSON_TOKEN_BYTES_MAX: usize = 64;
/// Content of an answer that is read for usage which nothing else tells. Ours. Hit: what was found by then.
pub const USAGE_SCAN_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Content that is read for usage which the head's fields tell already. Ours. Hit: theirs stands alone.
pub const USAGE_CONFIRM_BYTES_MAX: usize = 256 * 1024;
/// What is kept of a frame that the network cut; those that count tokens have some hundred bytes. Ours.
/// Hit: the frame passes unread.
pub const CUT_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// How long an answer whose client left is read on, if `outcrop.on_client_disconnect` says so. Ours: longer
/// than models speak. Hit: its connection closes, and its usage is what was seen.
pub const ABANDONED_MS_MAX: u64 = 120_000;
/// Content of such an answer. Ours. Hit: as above.
pub const ABANDONED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long the store has, when the proxy ends, to take what is left; then it waits in segments. Ours.
pub const BOOKS_CLOSE_MS_MAX: u64 = 10_000;
/// Between two looks for rows that are older than they may be. Ours.
pub const PRUNE_EVERY_MS: u64 = 3_600_000;
/// And while there are such rows. Ours: other work of the store comes in between.
pub const PRUNE_AGAIN_MS: u64 = 1_000;
/// Scrapes that wait to be rendered. Ours. Hit: they wait longer.
pub const RENDERINGS_MAX: usize = 16;
/// Base64 characters decoded at once, on the stack. Ours; a multiple of 4, so that blocks decode alone.
pub const BASE64_BLOCK_BYTES: usize = 2048;

/// What a client may go on sending after we closed, before it is reset: an SDK sends all of its content
/// before it looks for our 413. Ours.
pub const LINGER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// An event-stream frame: two lengths and two checksums. AWS's format. Hit: the stream is corrupt.
pub const FRAME_BYTES_MIN: usize = 16;
/// An event-stream frame. AWS's: 16 MiB, and headers besides; Bedrock sends 1.4 MB at most. Some of
/// AWS's clients take 24 MiB or any length. Hit: the stream is corrupt.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024 + FRAME_HEADERS_BYTES_MAX;
/// The headers of a frame. AWS's. Hit: the stream is corrupt.
pub const FRAME_HEADERS_BYTES_MAX: usize = 128 * 1024;

/// What a client connection's receive buffer starts with: holds practically every request head.
pub const IDLE_BUFFER_BYTES: usize = 2 * 1024;
/// A receive buffer while content flows. Holds a whole TLS record ([`TLS_RECORD_BYTES_MAX`]).
pub const FLOW_BUFFER_BYTES: usize = 64 * 1024;
/// A TLS 1.2 record on the wire (RFC 5246 §6.2.3): header, 2^14 of content, 2048 of expansion.
pub const TLS_RECORD_BYTES_MAX: usize = 5 + 16_384 + 2_048;
/// Plaintext given to one upstream send. Ours: bounds the encrypted copy of large content.
pub const SEND_BYTES_MAX: usize = 64 * 1024;
/// TLS sessions that a core keeps for resumption. Ours; the oldest is forgotten.
pub const SESSIONS_MAX: usize = 256;
/// Admin pages that wait for the control plane. Ours. Hit: 503.
pub const ERRANDS_MAX: usize = 64;
/// Admin pages that the control plane makes at once: each may hold a connection to the store. Ours. Hit: the
/// others wait.
pub const ERRANDS_AT_ONCE_MAX: usize = 8;
/// Request content of an admin page. Ours. Hit: 413.
pub const ERRAND_CONTENT_BYTES_MAX: u64 = 1024 * 1024;
/// An admin page. Ours: ten thousand rows of the log and more. Hit: an error that says to ask for less.
pub const PAGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Probes of `GET /health?probe=true` at once. Ours. Hit: the others wait.
pub const PROBES_AT_ONCE_MAX: usize = 32;
/// Client connections of one core, by default. Ours: at 4 KiB each, a quarter of a gigabyte. Hit: 503, and it is
/// closed; those that are open go on.
pub const CONNECTIONS_MAX_DEFAULT: u64 = 65_536;
/// Connections beyond that which are told so with 503, at a time. Ours. Hit: they are closed without a word.
pub const CONNECTIONS_REFUSED_MAX: u64 = 256;
/// Megabytes of content that all requests of one core hold together, by default. Ours. Hit: 503.
pub const CONTENT_IN_FLIGHT_MB_DEFAULT: u64 = 1024;
/// How slowly content may come in the mean, once [`CONTENT_GRACE_MS`] have passed. Ours: a byte now and then is an
/// attack. Hit: 408.
pub const CONTENT_BYTES_PER_S_MIN: u64 = 1024;
/// For how long content may come more slowly than that. Ours.
pub const CONTENT_GRACE_MS: u64 = 60_000;
/// Bytes of a probe's answer that are read. Ours. Hit: what follows is not looked at.
pub const PROBE_ANSWER_BYTES_MAX: u64 = 256 * 1024;
/// How long one probe may take. Ours. Hit: the deployment is unhealthy.
pub const PROBE_CALL_MS_MAX: u64 = 20_000;
/// How long all of a page's may take. Ours. Hit: those that are left are unhealthy.
pub const PROBES_MS_MAX: u64 = 25_000;
const _: () = assert!(PROBE_CALL_MS_MAX < PROBES_MS_MAX && PROBES_MS_MAX < ERRAND_MS_MAX);
/// Rows of `/spend/logs` if the client does not say. Ours; LiteLLM gives all.
pub const LOG_ROWS_DEFAULT: u32 = 100;
/// Rows of `/spend/logs`. Ours. Hit: 400.
pub const LOG_ROWS_MAX: u32 = 10_000;
/// Notices that wait to be written for the operator. Ours. Hit: counted as lost.
pub const NOTICES_MAX: usize = 1024;
/// For how long a notice that happens again is counted rather than said. Ours.
pub const NOTICES_EVERY_MS: u64 = 5_000;
/// Different notices written in that time. Ours. Hit: the others are counted in one line.
pub const NOTICES_SHOWN_MAX: usize = 20;
/// Lines of the access log that wait for the file or pipe, together. Ours: a minute of a thousand requests
/// a second, or some seconds at full speed. Hit: lines are dropped and counted.
pub const ACCESS_LOG_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Lines of the access log that go in one write, unless one line alone is longer. Ours.
pub const ACCESS_LOG_WRITE_BYTES: usize = 64 * 1024;
/// Empty buffers of the access log that are kept for reuse. Ours; above it they are freed.
pub const ACCESS_LOG_SPARE_BUFFERS_MAX: usize = 16;
/// Words of the access log's writer that wait to be said. Ours. Hit: not said; they repeat earlier ones.
pub const ACCESS_LOG_WORDS_MAX: usize = 16;
/// Until a write of the access log that failed is tried again. Ours.
pub const ACCESS_LOG_RETRY_MS: u64 = 1_000;
/// Until a pipe of the access log that was full is tried again. Ours.
pub const ACCESS_LOG_FULL_PIPE_MS: u64 = 10;
/// Deployments that metrics tell apart. Ours; a scrape must stay small. Hit: the rest are `other`.
pub const METRIC_DEPLOYMENTS_MAX: usize = 256;
/// Keys that metrics tell apart. Ours. Hit: the rest are `other`.
pub const METRIC_KEYS_MAX: usize = 256;
/// Label sets of one metric, apart from folded ones (a few per deployment at most). Ours. Hit: the key is
/// `other`, and the status its class.
pub const METRIC_LABEL_SETS_MAX: usize = 2_048;
/// Label sets of one histogram, each of which is twenty lines; likewise. Hit: the key is `other`.
pub const METRIC_HISTOGRAM_SETS_MAX: usize = 256;
/// Requests in a row that must fail for a deployment's state to be 2, complete outage: LiteLLM's default
/// `allowed_fails`.
pub const OUTAGE_FAILURES_MIN: u32 = 3;
/// Buffers that a core keeps for reuse, of each size. Ours; above it they are freed.
pub const SPARE_BUFFERS_MAX: usize = 128;
/// Idle upstream connections that a core keeps per endpoint. Ours. Hit: the oldest closes.
pub const IDLE_UPSTREAM_MAX: usize = 256;

/// From a head's first byte to its last. Ours, against slow heads. Hit: 408, close.
pub const HEAD_MS_MAX: u64 = 15_000;
/// Between two reads of request content. Ours. Hit: 408, close.
pub const CONTENT_IDLE_MS_MAX: u64 = 30_000;
/// An idle keep-alive client connection. Ours, above the 60 s that load balancers in front of us
/// commonly use, so that they and not we end it. Hit: close.
pub const CLIENT_IDLE_MS_MAX: u64 = 75_000;
/// A client that takes none of the bytes we have for it. Ours. Hit: close.
pub const CLIENT_STALL_MS_MAX: u64 = 120_000;
/// TCP connect and TLS handshake together, over all addresses. Ours. Hit: 503.
pub const CONNECT_MS_MAX: u64 = 5_000;
/// TCP connect to one of several addresses, before the next is tried. Ours.
pub const ADDRESS_MS_MAX: u64 = 1_000;
/// Between two reads of an answer's content, unless `stream_timeout` says otherwise for a stream: LiteLLM's
/// default `timeout` on this path. Hit: a truncated message.
pub const ANSWER_IDLE_MS_MAX: u64 = 600_000;
/// How long a stream's status is held back for its first frame. Ours, below the time after which SDKs take
/// silence for a failure. Hit: the status goes out alone.
pub const FIRST_FRAME_MS_MAX: u64 = 15_000;
/// What is held back of a stream while its first frame is not whole. Ours; Bedrock's exceptions have some
/// hundred bytes. Hit: it goes out.
pub const FIRST_FRAME_BYTES_MAX: usize = 256 * 1024;
/// Attempts of one request, in all groups together. Ours. Hit: the last failure is the client's.
pub const ATTEMPTS_MAX: usize = 16;
/// `num_retries`, in one group. Ours. Hit: no start.
pub const RETRIES_MAX: u8 = 15;
/// Any time-out in the configuration, in seconds. Ours: a day. Hit: no start.
pub const TIMEOUT_S_MAX: f64 = 86_400.0;
/// `cooldown_time` and `retry_after`, in seconds. Ours: a day. Hit: no start.
pub const COOLDOWN_S_MAX: f64 = 86_400.0;
/// `allowed_fails`. Ours. Hit: no start.
pub const ALLOWED_FAILS_MAX: u64 = 1_000_000_000;
/// What any bound of a core may be set to. Ours. Hit: no start.
pub const BOUND_MAX: u64 = 1_000_000_000;
/// `order`. Ours. Hit: no start.
pub const ORDER_MAX: u64 = 1_000_000;
/// The part of all requests, as its 1/n, that may be repeated. Ours. Hit: the last failure is the client's.
pub const RETRIES_PART: u64 = 5;
/// Over how long that is counted. Ours.
pub const RETRIES_WINDOW_S: u32 = 10;
/// Repeats in that time that are free: where there are few requests. Ours.
pub const RETRIES_FREE: u64 = 10;
/// The first back-off before the same deployment is asked again, its half at least; it doubles. Ours.
pub const BACK_OFF_MS: u64 = 100;
/// The longest. Ours: clients' own patience counts on. Hit: it is this.
pub const BACK_OFF_MS_MAX: u64 = 2_000;
/// `Retry-After` that is waited for in here. Ours. Hit: the answer goes to the client, who hears it.
pub const RETRY_AFTER_WAIT_MS_MAX: u64 = 5_000;
/// `Retry-After` that makes a cool-down longer. Ours, as LiteLLM. Hit: it is this.
pub const RETRY_AFTER_COOLDOWN_MS_MAX: u64 = 60_000;
/// How often a cool-down doubles while probes fail. Ours: who recovers is found out soon.
pub const COOLDOWN_DOUBLINGS_MAX: u32 = 2;
/// How long a probe may take to tell how it went. Ours: an answer's head may take minutes. Hit: another is sent.
pub const PROBE_MS_MAX: u64 = 60_000;
/// Failures in a row that make no cool-down, unless `allowed_fails` says otherwise: LiteLLM's default.
pub const FAILS_ALLOWED: u32 = 3;
/// Between two looks at other cores' use of what is balanced by use. Ours.
pub const BALANCE_LOOK_MS: u64 = 100;
/// Until a deployment at its limit of requests under way is looked at again, at the latest. Ours.
pub const FULL_LOOK_MS: u64 = 1_000;
/// In what time the latency of a deployment that nobody asks is half forgotten. Ours.
pub const LATENCY_HALF_LIFE_MS: u64 = 10_000;
/// `Retry-After` of an answer, in milliseconds. Ours: nothing is believed to be down for longer than a day.
pub const RETRY_AFTER_MS_MAX: u64 = 86_400_000;
/// `x-litellm-timeout` and its like: a day, as in the configuration. Hit: 400.
pub const ASKED_TIMEOUT_S_MAX: f64 = 86_400.0;
/// How far AWS's clock and ours must differ for a refusal to be the clock's doing, in seconds. AWS lets pass
/// five minutes; less, since its answer takes time, too.
pub const CLOCK_SKEW_S_MIN: u64 = 240;
/// How long upstream may take none of a request before we look whether it has answered already. Ours.
/// Hit with an answer: the rest is not sent.
pub const EARLY_ANSWER_LOOK_MS: u64 = 100;
/// An upstream connection that waits for its next request. Ours, below the idle time of AWS's front ends.
/// Hit: close.
pub const UPSTREAM_IDLE_MS_MAX: u64 = 20_000;
/// One look-up of an endpoint's name. Ours. Hit: the last good addresses stay.
pub const RESOLVE_MS_MAX: u64 = 5_000;
/// All look-ups before the first connection is accepted. Ours. Hit: we serve without the missing ones.
pub const RESOLVE_AT_START_MS_MAX: u64 = 2_000;
/// How long a successor may take until it serves: its configuration, its ledger, names to resolve. Ours. Hit: it
/// is ended, and we serve on.
pub const HAND_OVER_MS_MAX: u64 = 60_000;
/// How long a reload waits for the cores to see it before it is said to be in force. Ours: a core looks ten
/// times a second. Hit: it is said all the same.
pub const RELOAD_SEEN_MS_MAX: u64 = 2_000;
/// Between two look-ups of the endpoints' names: AWS's answers live 60 s at most. Ours.
pub const RESOLVE_EVERY_MS: u64 = 30_000;
/// Until the next look-up when a name has no address yet. Ours.
pub const RESOLVE_AGAIN_MS: u64 = 2_000;
/// Addresses of one name that are kept. Ours.
pub const RESOLVED_ADDRESSES_MAX: usize = 16;
/// How often the ledger is forced to disk, `outcrop.ledger.sync_ms`. Ours: more often, the disk would do nothing
/// else. Hit: no start.
pub const LEDGER_SYNC_MS_MIN: u64 = 10;
/// What a power failure may take at most. Ours. Hit: no start.
pub const LEDGER_SYNC_MS_MAX: u64 = 60_000;
/// How long rows of the store may be kept, if not for ever. Ours: a hundred years. Hit: no start.
pub const RETENTION_S_MAX: u64 = 100 * 366 * 86_400;
/// How often a core looks at what other threads tell it (snapshot, shutdown), and sweeps idle connections.
pub const TICK_MS: u64 = 100;
/// Connections that a core accepts before others have their turn. Ours.
pub const ACCEPTS_AT_ONCE_MAX: usize = 64;
/// How often it does so for the last time, when it ends: the kernel's queue has 4,096. Ours. Hit: the others are
/// refused.
pub const ACCEPT_LAST_ROUNDS_MAX: usize = 128;
/// How long, at an end, idle connections are kept for one request more, so that none meets a connection that
/// closes: longer than clients under load pause. Ours.
pub const DRAIN_IDLE_MS: u64 = 1_000;
/// The same when another process serves on, and so nobody waits for our end. Ours.
pub const HANDED_OVER_IDLE_MS: u64 = 10_000;
/// Descriptors that we ask for, if the hard limit has as many. Ours.
pub const DESCRIPTORS_WANTED: u64 = 1 << 20;
/// The part of them, as its 1/n, that clients are not to have: a half, so that each may have a request that needs a
/// connection to AWS. Ours. Hit: clients wait in the kernel's queue.
pub const DESCRIPTORS_FREE_PART: u64 = 2;
/// The same, at most. Ours.
pub const DESCRIPTORS_FREE_MAX: u64 = 65_536;
/// Between two tries to accept when descriptors or memory are short. Ours.
pub const ACCEPT_PAUSE_MS: u64 = 20;
/// How long in-flight requests may take to finish after SIGTERM. Ours. Hit: they are cut.
pub const SHUTDOWN_GRACE_MS: u64 = 30_000;
/// How long the cut ones may take to close their accounts. Ours: they do it at once. Hit: the next start does.
pub const GIVING_UP_MS_MAX: u64 = 1_000;
/// How long a closing connection is read from, so that a reset does not overtake our last answer
/// (RFC 9112 §9.6). Ours. Hit: it is reset.
pub const LINGER_MS_MAX: u64 = 5_000;
/// From an errand given to the control plane to the page. Ours. Hit: 504.
pub const ERRAND_MS_MAX: u64 = 30_000;
/// How often a core looks whether an errand is done: the control plane cannot wake it. Ours.
pub const ERRAND_LOOK_MS: u64 = 2;
/// Streams of one HTTP/2 connection at once. Ours; the JS SDK has one. Hit: the client waits, or is refused.
pub const HTTP2_STREAMS_MAX: u32 = 128;
/// Request content of one stream that may be on its way to us. Ours.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// … of all streams of one connection. Ours: what they hold before an exchange takes it.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Streams that a client reset before we looked at them (CVE-2023-44487). Ours. Hit: GOAWAY, ENHANCE_YOUR_CALM.
pub const HTTP2_PENDING_RESETS_MAX: usize = 20;
/// Streams that a client reset, in a connection's life. Ours. Hit: GOAWAY; the others finish.
pub const HTTP2_RESETS_MAX: u32 = 1_000;
/// What waits to be sent on one HTTP/2 connection. Ours. Hit: the codec waits.
pub const OUTBOX_BYTES_MAX: usize = 64 * 1024;
/// How long an early answer waits for content that nobody wants. Ours. Hit: the connection closes.
pub const UNREAD_CONTENT_MS_MAX: u64 = 1_000;

/// Requests under way that a core's ledger shows as such after the process was killed. Ours: 1 MiB. Hit:
/// those beyond are served, and recorded at their end only.
pub const LEDGER_SLOTS: u32 = 16_384;
/// Entries of a core that wait to be recorded. Ours: 8 MiB; a power of two. Hit, as the disk is full: what
/// does not fit is counted as lost, or requests are refused (`outcrop.ledger.on_full`).
pub const LEDGER_ENTRIES: u32 = 32_768;
/// Slots, and entries, of a ledger file that somebody left. Ours. Hit: its header is not believed.
pub const LEDGER_BLOCKS_MAX: u32 = 1 << 20;
/// What is read of a ledger file that somebody left. Ours. Hit: the rest is set aside.
pub const LEDGER_FILE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Ledger files in one folder, of all processes that share it. Ours. Hit: no start.
pub const LEDGER_FILES_MAX: u32 = 4096;

/// Between two looks at the ledger. Ours: how old a log line or a metric is at most.
pub const LEDGER_TICK_MS: u64 = 50;
/// Entries read from one ring before the next ring's turn. Ours.
pub const LEDGER_READ_MAX: usize = 4096;
/// Batches whose room is kept for others. Ours.
pub const BATCHES_SPARED_MAX: usize = 16;
/// Entries given to the store at once; a single read may exceed it. Ours.
pub const STORE_ENTRIES_MAX: usize = 8192;
/// One call of the store. Ours. Hit: it counts as away.
pub const STORE_MS_MAX: u64 = 5_000;
/// Until a store that is away is tried again: at first, and at last. Ours; it doubles.
pub const STORE_AGAIN_MS_MIN: u64 = 500;
/// See [`STORE_AGAIN_MS_MIN`].
pub const STORE_AGAIN_MS_MAX: u64 = 30_000;
/// How long entries stay in the ring alone while the store is away. Ours: bounds what is forced to disk.
pub const SPILL_EVERY_MS: u64 = 1_000;
/// The part of a ring, as its 1/n, that may wait for a store that is slow. Ours. Hit: all goes to a segment.
pub const SPILL_RING_PART: u64 = 2;
/// A segment file. Ours. Hit: the next is begun.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How often a living process looks for rings and segments that another one has left. Ours.
pub const ADOPT_EVERY_MS: u64 = 5_000;
/// Until a disk that refuses segments is tried again. Ours.
pub const DISK_AGAIN_MS: u64 = 2_000;
/// Between two lines for the operator that entries are being lost. Ours.
pub const LOSSES_EVERY_MS: u64 = 5_000;
/// Questions to the bookkeeper that wait for its next turn. Ours. Hit: who asks waits.
pub const ASKS_MAX: usize = 64;

const _: () = assert!(LEDGER_ENTRIES.is_power_of_two() && LEDGER_ENTRIES <= LEDGER_BLOCKS_MAX);
/// Entries of one batch, which is one transaction of the store. Ours. More are split by the caller.
pub const STORE_BATCH_ENTRIES_MAX: usize = 8192;
/// Rows of one INSERT into SQLite, a power of 8. Ours: by then parsing and hops between threads cost
/// nothing, and the values stay below [`SQLITE_VALUES_MAX`]. More go by further statements.
pub const STORE_ROWS_PER_STATEMENT_MAX: usize = 512;
/// Values of one statement. SQLite's.
pub const SQLITE_VALUES_MAX: usize = 32_766;
/// Combinations of key and deployment whose numbers in SQLite a connection knows by heart. Ours. Hit: it
/// forgets all, and asks again.
pub const STORE_NAMES_KEPT_MAX: usize = 65_536;
/// How long entries wait for company on their way to the store, unless somebody asks for them: a
/// transaction costs as much as hundreds of rows. Ours; kill -9 takes nothing of them.
pub const STORE_EVERY_MS: u64 = 1000;
/// The part of a ring, as its 1/n, that is company enough. Ours.
pub const STORE_RING_PART: u64 = 4;
/// Connections that answer questions to the store, besides the one that writes. Ours. Hit: questions wait.
pub const STORE_READERS_MAX: usize = 2;
/// A connection to PostgreSQL, from TCP to its prompt. Ours. Hit: the store is away.
pub const STORE_CONNECT_MS_MAX: u64 = 5_000;
/// One call of the store. Ours. Hit: the connection is dropped, and the store is away.
pub const STORE_CALL_MS_MAX: u64 = 30_000;
/// How long SQLite waits for another process's transaction. Ours. Hit: the store is away.
pub const STORE_BUSY_MS_MAX: u64 = 5_000;
/// Requests in one row of SQLite's. Ours: what a row costs is then next to nothing for each; what is known
/// of one is found by reading so many.
pub const STORE_CHUNK_ENTRIES_MAX: usize = 256;
/// Making the tables, or moving what they hold, at start. Ours. Hit: it is tried at the next.
pub const STORE_MIGRATE_MS_MAX: u64 = 600_000;
/// How far apart requests may be to be looked for together. Ours: what lies between is read.
pub const STORE_KNOWN_GAP_MS: u64 = 10_000;
/// SQLite's rows read at once. Ours: bounds what is held.
pub const STORE_KNOWN_ROWS_MAX: usize = 64;
/// SQLite's rows that one transaction deletes. Ours: as [`STORE_PRUNE_ROWS_MAX`].
pub const STORE_PRUNE_CHUNKS_MAX: u32 = 64;
/// Rows that one transaction deletes. Ours: writing waits for no longer than that takes.
pub const STORE_PRUNE_ROWS_MAX: u32 = 2_000;
/// Such transactions of one call. Ours. Hit: the next call goes on.
pub const STORE_PRUNE_SLICES_MAX: u32 = 100;
/// For how long the id of a request is known without its row (`disable_spend_logs`). Ours: an entry is
/// replayed when its process starts again, so a machine may be down for so long.
pub const STORE_SEEN_S_MAX: u64 = 30 * 86_400;
/// Rows of one answer from `spend_logs`. Ours. Hit: the newest are given.
pub const STORE_LOGS_ROWS_MAX: u32 = 10_000;
/// Rows of SQLite's among which those of one key are looked for. Ours: that takes a second or two. Hit:
/// older ones are found by asking for their days.
pub const STORE_SEARCHED_ROWS_MAX: u32 = 5_000_000;

const _: () = assert!(TARGET_BYTES_MAX < HEAD_BYTES_MAX);
const _: () = assert!(FLOW_BUFFER_BYTES > 2 * TLS_RECORD_BYTES_MAX);
const _: () = assert!(BASE64_BLOCK_BYTES.is_multiple_of(4));
const _: () = assert!(IDLE_BUFFER_BYTES < HEAD_BYTES_MAX);
const _: () = assert!(FRAME_HEADERS_BYTES_MAX < FRAME_BYTES_MAX - FRAME_BYTES_MIN);
const _: () = assert!(STORE_ROWS_PER_STATEMENT_MAX.is_power_of_two());
const _: () = assert!(STORE_RING_PART > SPILL_RING_PART);

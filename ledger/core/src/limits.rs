//! Bounds of the engine, the same as in `ledger/limits.py`, each with its reason there.

/// Rows of one statement page.
pub const STATEMENT_ROWS_MAX: usize = 8_189;
/// Events of one batch.
pub const BATCH_EVENTS_MAX: usize = 8_189;
/// Events waiting for a commit group; beyond it the caller hears `busy` at once.
pub const QUEUE_EVENTS_MAX: usize = 65_536;
/// Reservations that run out ahead of one commit group.
pub const GROUP_EXPIRIES_MAX: usize = 1_024;
/// Records of one frame.
pub const FRAME_RECORDS_MAX: usize = BATCH_EVENTS_MAX + GROUP_EXPIRIES_MAX;
/// The least segment, in bytes.
pub const SEGMENT_SIZE_MIN: u64 = 16_384;
/// The greatest segment, in bytes.
pub const SEGMENT_SIZE_MAX: u64 = 1 << 30;
/// Sealed segments kept open for reading at once.
pub const FILES_OPEN_MAX: usize = 128;
/// Nothing committed for so long is an idle moment: the commit mark is synced then.
pub const IDLE_BEFORE_MARK: std::time::Duration = std::time::Duration::from_millis(10);
/// Zero bytes written at a time while a segment is prepared.
pub const ZERO_CHUNK_BYTES: usize = 1 << 20;
/// Memory for the id fingerprints of sealed segments, the newest ones: those of 12 million ids.
/// An id whose fingerprint is not there and passes a filter costs a read of the disk.
pub const FINGERPRINT_BYTES_MAX: usize = 96 << 20;
/// Microseconds between two such chunks: the disk is the commits' in between, and a spare is still
/// made in less than the time in which full batches fill a segment.
pub const SPARE_PAUSE_US: u64 = 2_000;
/// Bytes of a sealed segment that are written, and read back, between two pauses.
pub const SEAL_CHUNK_BYTES: usize = 1 << 20;
/// Microseconds of such a pause: about 60 MiB a second stay for sealing, and the disk is the
/// commits' the rest of the time.
pub const SEAL_PAUSE_US: u64 = 10_000;
/// Looks at a commit mark that does not verify, before a reader calls it damaged: a writer writes it
/// in microseconds.
pub const MARK_READS_MAX: u32 = 8;

/// Records from which a frame is hashed by two threads: their hashing takes ten times what starting
/// the second one does.
pub const SPLIT_RECORDS_MIN: usize = 2_048;
/// Closed segments that wait for sealing before it makes no more pauses.
pub const SEAL_BACKLOG_MAX: u64 = 4;
/// Closed segments that wait for sealing before a commit that needs another one waits too: their
/// ids stay in memory, about 10 MiB for each whole segment of 64 MiB.
pub const SEAL_WAITING_MAX: u64 = 16;

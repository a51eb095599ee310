//! Executor, callback dispatcher, expirer and their supervisor.

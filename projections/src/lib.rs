//! Read tables folded from the ledger, their queries, the runner and rebuild.

//! The real binary: started, asked, stopped, killed and started again.

mod service;

mod commands;
mod demo;
mod killed;
mod once;
mod operators;
mod starting;

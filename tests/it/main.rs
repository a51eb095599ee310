//! The real binary: started, asked, stopped, killed and started again.

mod service;

mod demo;
mod starting;

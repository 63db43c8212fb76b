//! Benchmarks as ratios: what the product does, against the least that such work can cost on the same machine in the
//! same minute.
//!
//! Absolute figures of a shared machine say little. Each row therefore runs the product and its floor in turns, takes
//! the ratio of each pair, and reports the median with the spread of the middle half as noise. Time is the thread's
//! processor time, so that whoever else uses the machine is left out as far as a kernel can.

pub mod gateway;
pub mod instructions;
pub mod measure;
pub mod report;
pub mod rows;
pub mod scene;

//! What stands in files: the scenarios, what is wrong in one, the pages that print some, results, and the code itself. One
//! program, since each takes its time to link.

mod result_document;
mod scenario_docs;
mod scenario_errors;
mod scenarios;
mod tidy;

//! Exact statistics of small samples. No random numbers and no approximations by the normal curve: every p-value is a count
//! of equally likely arrangements.

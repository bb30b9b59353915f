//! sli.windows → windows of any length, and the audit of the ledger

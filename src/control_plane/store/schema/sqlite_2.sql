-- fallbacks and failed_attempts are places in spend_rows.detail: the view alone changes, and is made anew.
SELECT 1;

-- guardrail_units is a place in a row of spend_chunks: the view alone changes, and is made anew.
SELECT 1;

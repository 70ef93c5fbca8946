"""An open-model load client: messages prepared ahead, sent by the clock, judged by the ledger."""

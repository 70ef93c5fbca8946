"""What the operator does at the terminal, as tables: log-on, belanja, cek saldo, pembatalan."""

"""What a model still answers after it was personalised: general questions before and after training."""

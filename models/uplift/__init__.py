"""The effect of plays from accounts that were held out at random: estimates, power, and the design of trials."""

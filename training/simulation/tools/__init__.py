"""A simulated portfolio as the tools of a company hold it: Stripe, Salesforce, Zendesk and Segment."""

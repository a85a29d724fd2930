"""The gateway that receives signed webhooks and answers only after Kafka has them."""

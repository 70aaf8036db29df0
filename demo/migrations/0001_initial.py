import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Batch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("stage", models.CharField(choices=[("raw", "Raw"), ("clean", "Clean")], max_length=10)),
                ("rows", models.JSONField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "batches",
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="SoldProperty",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reference", models.CharField(max_length=40, unique=True)),
                ("location", models.CharField(max_length=100)),
                ("listing_type", models.CharField(max_length=10)),
                ("address", models.CharField(max_length=200)),
                ("price", models.PositiveIntegerField(help_text="US dollars.")),
                ("beds", models.PositiveSmallIntegerField()),
                ("baths", models.DecimalField(decimal_places=1, max_digits=3)),
                ("area", models.PositiveIntegerField(help_text="Square feet.")),
                (
                    "listed_on",
                    models.DateField(help_text="The day it was sold, listed or put under contract."),
                ),
                (
                    "first_seen_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "sold properties",
                "ordering": ["-listed_on", "reference"],
            },
        ),
    ]
